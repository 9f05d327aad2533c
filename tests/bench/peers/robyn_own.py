# /// script
# dependencies = ["robyn"]
# [tool.bench]
# place = 13
# title = "robyn"
# environment = "robyn"
# without = { "TLS" = "robyn speaks no TLS" }
# ///
"""robyn on its own server in Rust; the handler that blocks runs in its thread pool."""

import os
import sys
import time
from pathlib import Path

port, threads = map(int, sys.argv[1:])
sys.argv[1:] = ["--workers", str(threads), "--disable-openapi", "--log-level", "ERROR"]

from robyn import Request, Robyn, jsonify, serve_file  # noqa: E402

app = Robyn(__file__)


@app.get("/")
async def index(request: Request):
    """The smallest page."""
    return "Hello, world!"


@app.get("/item/:number")
async def item(request: Request):
    """A page with a path segment and a query parameter."""
    return f"item {request.path_params['number']} is {request.query_params.get('colour', 'red')}"


@app.get("/data")
async def data(request: Request):
    """A small JSON document."""
    return jsonify({"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}})


@app.get("/slow")
def slow(request: Request):
    """A handler that blocks as a database call would."""
    time.sleep(0.02)
    return "slow"


@app.post("/upload")
async def upload(request: Request):
    """A body that is read whole."""
    return str(len(request.body))


@app.get("/file/:name")
async def file(request: Request):
    """A file of the folder that the bench names."""
    return serve_file(str(Path(os.environ["BENCH_FILES"]) / request.path_params["name"]))


app.start(host="127.0.0.1", port=port, _check_port=False)
