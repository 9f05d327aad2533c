# /// script
# dependencies = ["granian", "falcon"]
# [tool.bench]
# place = 10
# title = "Falcon on granian"
# environment = "granian"
# ///
"""Falcon as WSGI on a server in Rust, which serves the file itself."""

import os
import sys
from pathlib import Path

port, threads = sys.argv[1:]
options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--blocking-threads", threads]
options += ["--no-log", "--static-path-route", "/file", "--static-path-mount", os.environ["BENCH_FILES"]]
options += ["--working-dir", str(Path(__file__).resolve().parents[1])]
if certificate := os.environ.get("BENCH_CERTIFICATE"):
    options += ["--ssl-certificate", certificate, "--ssl-keyfile", os.environ["BENCH_KEY"]]
os.execv(sys.executable, [sys.executable, "-m", "granian", *options, "falcon_app:application"])
