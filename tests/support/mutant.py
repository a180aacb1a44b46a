"""A tool call as bytes, and damaged copies of it, the same for the same seed."""

import random

CALL = (
    b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",'
    b'"_meta":{"progressToken":1},"arguments":{"text":"\\u00e9","n":[1,2.5e3,{"deep":null}]}}}'
)


def mutant(seed: int) -> bytes:
    """A damaged call: bytes flipped, dropped, doubled, moved or replaced by JSON's own signs."""
    chance = random.Random(seed)
    body = bytearray(CALL)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(body)) if body else 0
        upto = at + chance.randint(0, 12)
        match chance.randrange(5):
            case 0:
                body[at:upto] = b""
            case 1:
                body[at:at] = bytes(body[at:upto]) * chance.randint(1, 40)
            case 2:
                body[at:at] = chance.choice([b'"', b"\\", b"{", b"[", b"}", b"]", b",", b":", b"-"])
            case 3:
                body[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                odd = [b"null", b"1e999", b"true", b'""', b"\xff", b"\\ud800", b"[" * 80, b"\x00"]
                body[at:upto] = chance.choice(odd)
    return bytes(body)
