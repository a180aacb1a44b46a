"""Signatures as receivers verify them."""

import hmac
from base64 import b64decode

from meshd.bus.signing import SIZE, headers, new_secret
from meshd.core.secret import Secret


def test_the_vector_of_the_specification():
    """Of the Standard Webhooks reference libraries."""
    made = headers(
        [Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_new_secret_signs_and_is_another_each_time():
    one, other = new_secret(), new_secret()
    assert one != other
    key = b64decode(one.reveal().removeprefix("whsec_"))
    assert len(key) == SIZE
    expected = hmac.digest(key, b"dlv_1.5.body", "sha256")
    signature = headers([one], "dlv_1", 5, b"body")["webhook-signature"]
    assert b64decode(signature.removeprefix("v1,")) == expected
    both = headers([other, one], "dlv_1", 5, b"body")["webhook-signature"].split(" ")
    assert len(both) == 2
    assert both[1] == signature, "a receiver that knows only the one before takes it"
