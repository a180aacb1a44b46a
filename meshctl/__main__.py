"""`python -m meshctl`."""

import sys

from meshctl.main import run

sys.exit(run())
