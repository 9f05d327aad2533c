# /// script
# dependencies = ["pyuwsgi", "falcon"]
# [tool.bench]
# place = 7
# title = "Falcon on uWSGI"
# environment = "uwsgi"
# without = { "TLS" = "the uWSGI of the package index (pyuwsgi) is built without TLS" }
# ///
"""Falcon under uWSGI, with its HTTP router in front: without it there is no keep-alive."""

import os
import sys
from pathlib import Path

port, threads = sys.argv[1:]
options = [
    "--http",
    f"127.0.0.1:{port}",
    "--disable-logging",
    "--master",
    "--die-on-term",
    "--need-app",
    "--processes",
    "1",
    "--threads",
    threads,
]
options += [
    "--http-keepalive",
    "--add-header",
    "Connection: Keep-Alive",
    "--chdir",
    str(Path(__file__).resolve().parents[1]),
]
uwsgi = Path(sys.executable).with_name("pyuwsgi")
os.execv(uwsgi, [str(uwsgi), *options, "--module", "falcon_app:application"])
