# /// script
# dependencies = []
# [tool.bench]
# place = 2
# title = "kirsch on its own server"
# environment = "own"
# ///
"""The framework on its own server."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cherry_app import serve

serve(int(sys.argv[1]), int(sys.argv[2]))
