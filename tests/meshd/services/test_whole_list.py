"""A whole list, page by page: what is taken of it, and what is no list."""

from types import SimpleNamespace
from typing import Any

import pytest

from meshd.protocol.jsonrpc import METHOD_NOT_FOUND, Reply, error_object
from meshd.services.composing import Thing
from meshd.services.whole_list import WholeList, whole_list
from meshd.wire.errors import UpstreamFailed

OFFERS = b'{"capabilities":{"prompts":{}}}'


async def listed(*pages: bytes | Reply, thing: Thing = "tool") -> tuple[WholeList, list[bytes]]:
    """The list of a server that answers with these, and the params that it got."""
    asked: list[bytes] = []
    answers = iter(pages)

    async def request(_row: Any, _method: str, params: bytes, *, within: float) -> Reply:
        assert 0 < within <= 60
        asked.append(params)
        page = next(answers)
        return page if isinstance(page, Reply) else Reply(page, None)

    async def said(_row: Any) -> bytes:
        return OFFERS

    upstreams: Any = SimpleNamespace(request=request, initialize_result=said)
    row: Any = SimpleNamespace(name="a")
    return await whole_list(upstreams, row, thing), asked


async def test_pages_are_put_together() -> None:
    """The shortest time holds for all of it; what is said besides is kept of the first page."""
    whole, asked = await listed(
        b'{"tools":[{"name":"a"}],"nextCursor":"x","other":1,"ttlMs":9000}',
        b'{"tools":[{"name":"b"}],"nextCursor":null,"ttlMs":2000.0}',
    )
    assert [bytes(each) for each in whole.entries] == [b'{"name":"a"}', b'{"name":"b"}']
    assert ({name: bytes(said) for name, said in whole.rest.items()}, whole.ttl) == (
        {"other": b"1"}, 2.0,
    )  # fmt: skip
    assert asked == [b"{}", b'{"cursor":"x"}']


@pytest.mark.parametrize("ttl", [b'"5"', b"true", b"-1", b"null", b"{}"])
async def test_what_is_no_time_is_none(ttl: bytes) -> None:
    assert (await listed(b'{"tools":[],"ttlMs":%b}' % ttl))[0].ttl is None


@pytest.mark.parametrize(
    "page", [b"{}", b"[]", b'{"tools":{}}', b'{"tools":[],"nextCursor":5}', b"", b"nonsense"]
)
async def test_what_is_no_list_is_refused(page: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="cannot be read"):
        await listed(page)


async def test_what_is_not_offered_is_empty() -> None:
    """Without a question where the server said what it offers."""
    missing = Reply(None, error_object(METHOD_NOT_FOUND, "no"))
    assert (await listed(missing))[0].entries == []
    assert (await listed(b'{"prompts":[{}]}', thing="prompt"))[1] == [b"{}"]
    assert await listed(thing="resource") == (WholeList([], {}, None), [])
    with pytest.raises(UpstreamFailed, match="refused tools/list"):
        await listed(Reply(None, error_object(-32000, "no")))
