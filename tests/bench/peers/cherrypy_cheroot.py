# /// script
# dependencies = ["CherryPy==18.10.0", "cheroot==11.1.2"]
# [tool.bench]
# place = 1
# title = "CherryPy 18 on cheroot"
# environment = "rival"
# ///
"""The released CherryPy, the same application."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cherry_app import serve

serve(int(sys.argv[1]), int(sys.argv[2]))
