"""The first module: what it imports of aiohttp, whatever aiohttp is made of."""

import json
import subprocess
import sys
from pathlib import Path

TOLD = """
import json, sys
sys.path[:0] = sys.argv[1:]
from meshd.start import import_server_of_aiohttp
import_server_of_aiohttp()
early = "aiohttp.web" in sys.modules
import aiohttp.web
print(json.dumps([early, aiohttp.__file__, hasattr(aiohttp, "ClientSession")]))
"""


def _told(*path: Path) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", TOLD, *map(str, path)], capture_output=True, check=True
    )
    told: list[object] = json.loads(done.stdout)
    return told


def test_the_server_comes_without_the_client():
    early, _, client = _told()
    assert (early, client) == (True, False)


def test_a_release_that_cannot_be_taken_apart_is_imported_whole(tmp_path):
    package = tmp_path / "aiohttp"
    package.mkdir()
    (package / "__init__.py").write_text("class ClientSession: ...\n")
    (package / "web.py").write_text("from aiohttp import ClientSession\n")
    assert _told(tmp_path) == [False, str(package / "__init__.py"), True]


def test_imports_are_out_of_the_garbage_collectors_sight():
    """And it goes on with what comes after them."""
    code = (
        "import gc, sys; from meshd.start import run; sys.argv = ['meshd', '--version']\n"
        "try: run()\n"
        "except SystemExit: print(gc.isenabled(), gc.get_freeze_count() > 50_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "True True"
