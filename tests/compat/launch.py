"""Runs a program unchanged, as ``__main__``, except that its server takes a free port instead of 8080.

    python launch.py program.py [arguments]

The port is told on standard error by the engine: ``ENGINE Serving on http://127.0.0.1:PORT``.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import cherrypy

if __name__ == "__main__":
    program = Path(sys.argv[1]).resolve()
    sys.argv[:] = sys.argv[1:]
    sys.path[0] = str(program.parent)
    # The autoreloader runs, but a source file of the framework that changes meanwhile restarts nothing.
    cherrypy.config.update({"server.socket_port": 0, "engine.autoreload.match": "^nothing$"})
    runpy.run_path(str(program), run_name="__main__")
