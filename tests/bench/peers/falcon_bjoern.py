# /// script
# dependencies = ["bjoern", "falcon"]
# [tool.bench]
# place = 9
# title = "Falcon on bjoern"
# environment = "bjoern"
# without = { "TLS" = "bjoern speaks no TLS" }
# ///
"""Falcon on a server in C with one thread; it is built with libev-dev."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bjoern
from falcon_app import application

bjoern.run(application, "127.0.0.1", int(sys.argv[1]))
