"""The daemon's first module: makes its imports cheap. What runs then is in `main`."""

import gc
import importlib
import sys
from contextlib import suppress
from importlib.util import find_spec, module_from_spec


def run() -> None:
    """`meshd`, as `main.run` tells."""
    gc.disable()  # what is imported stays, and to look for garbage in it takes a sixth of the time
    import_server_of_aiohttp()
    from meshd.main import run as run_main

    gc.freeze()  # nor is it looked through ever again
    gc.enable()
    run_main()


def import_server_of_aiohttp() -> None:
    """Import `aiohttp.web` and what it needs alone.

    `import aiohttp` imports its HTTP client too, which reads the system's certificates at once:
    150 ms and 4 MB for what nothing here uses. A package's modules are found without its own code
    having run; whoever asks the package for the client gets an `AttributeError`. Should a release
    of aiohttp not be made of parts like that, it is imported whole when it is first needed.
    """
    spec = find_spec("aiohttp")
    if spec is None:
        return
    sys.modules["aiohttp"] = package = module_from_spec(spec)
    package.__version__ = ""  # type: ignore[attr-defined]  # for a header that is never sent
    with suppress(ImportError, AttributeError):
        importlib.import_module("aiohttp.web")
        return
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiohttp"]:
        del sys.modules[name]
