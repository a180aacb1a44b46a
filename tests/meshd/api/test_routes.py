"""From a method and a path to a call."""

from string import Formatter

import pytest

from meshd.api.routes import Routes
from meshd.wire.calls import CALLS
from meshd.wire.errors import MethodNotAllowed, NotFound

ROUTES = Routes(CALLS)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_row_is_found_by_its_own_path(call) -> None:
    names = [name for _, name, _, _ in Formatter().parse(call.path) if name]
    found, fields = ROUTES.find(
        call.method, call.path.format(**{name: f"the-{name}" for name in names})
    )
    assert found is call
    assert fields == {name: f"the-{name}" for name in names}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_another_method_is_not_allowed_or_another_row(call) -> None:
    path = call.path.replace("{", "").replace("}", "")
    taken = {c.method for c in CALLS if c.path.replace("{", "").replace("}", "") == path}
    for method in ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "get", ""):
        if method in taken:
            assert ROUTES.find(method, path)[0].method == method
        else:
            with pytest.raises(MethodNotAllowed):
                ROUTES.find(method, path)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v1", "/v1/", "/v1/keys/", "/v1/keys/a/b", "/v1//keys", "/v2/keys", "/V1/keys", "/v1/keys?x", "v1/keys",
     "/v1/connections//enable", "/v1/connections/a/../b/x", "/v1/%6beys"],
)  # fmt: skip
def test_no_other_path_leads_anywhere(path: str) -> None:
    with pytest.raises(NotFound):
        ROUTES.find("GET", path)


@pytest.mark.parametrize(
    ("raw", "name"),
    [("github", "github"), ("git%20hub", "git hub"), ("a%2Fb", "a/b"), ("%2e%2e", ".."), ("%ff", "\ufffd"), ("%", "%"),
     ("a%00b", "a\0b"), ("n%C3%A4me", "näme"), ("+", "+")],
)  # fmt: skip
def test_fields_are_decoded_after_the_path_was_cut(raw: str, name: str) -> None:
    """So that a slash in a tool's name is no slash of the path."""
    assert ROUTES.find("GET", f"/v1/connections/{raw}")[1] == {"connection": name}
    assert ROUTES.find("GET", f"/v1/connections/x/tools/{raw}")[1] == {
        "connection": "x",
        "tool": name,
    }
