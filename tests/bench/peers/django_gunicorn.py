# /// script
# dependencies = ["gunicorn", "flask", "falcon", "django"]
# [tool.bench]
# place = 8
# title = "Django on gunicorn gthread"
# environment = "gunicorn"
# ///
"""Django under gunicorn."""

import os
import sys
from pathlib import Path

port, threads = sys.argv[1:]
options = ["--worker-class", "gthread", "--threads", threads, "--keep-alive", "30", "--worker-connections", "2000"]
options += ["--log-level", "error", "--bind", f"127.0.0.1:{port}", "--chdir", str(Path(__file__).resolve().parents[1])]
if certificate := os.environ.get("BENCH_CERTIFICATE"):
    options += ["--certfile", certificate, "--keyfile", os.environ["BENCH_KEY"]]
os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *options, "django_app:application"])
