"""Bodies that come with their heads, and bodies that follow."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from meshd.core.answers import json_answer, requests_up_to
from meshd.wire.errors import TooLarge

HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("later", [False, True], ids=["with the head", "later"])
@pytest.mark.parametrize(("size", "told"), [(10, b'"xxxxxxxxxx"'), (11, b'"too large"')])
async def test_a_body_without_a_length_is_bounded(
    tmp_path: Path, size: int, told: bytes, later: bool
) -> None:
    """In whatever pieces it comes: the parser has a chunk for each of them."""
    head_read = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.content.is_eof() is not later
        head_read.set()
        try:
            return json_answer((await request.read()).decode())
        except TooLarge:
            return json_answer("too large")

    runner = web.ServerRunner(web.Server(answer, request_factory=requests_up_to(10)))
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    try:
        body = b"1\r\nx\r\n" * size + b"0\r\n\r\n"
        writer.write(HEAD if later else HEAD + body)
        if later:
            await head_read.wait()
            writer.write(body)
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            assert await reader.readexactly(length) == told
    finally:
        writer.close()
        await runner.cleanup()
