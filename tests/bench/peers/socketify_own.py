# /// script
# dependencies = ["socketify"]
# [tool.bench]
# place = 14
# title = "socketify"
# environment = "socketify"
# ///
"""socketify on its own server in C++; the handler that blocks runs in a thread pool, as its manual says."""

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from socketify import App, AppOptions

pool = ThreadPoolExecutor(int(sys.argv[2]))
certificate = os.environ["BENCH_CERTIFICATE"]
app = App(AppOptions(key_file_name=os.environ["BENCH_KEY"], cert_file_name=certificate) if certificate else None)


def index(response, request):
    """The smallest page."""
    response.end("Hello, world!")


def item(response, request):
    """A page with a path segment and a query parameter."""
    response.end(f"item {request.get_parameter(0)} is {request.get_query('colour') or 'red'}")


def data(response, request):
    """A small JSON document."""
    response.end({"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}})


async def slow(response, request):
    """A handler that blocks as a database call would."""
    await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 0.02)
    response.end("slow")


async def upload(response, request):
    """A body that is read whole."""
    body = await response.get_data()
    response.end(str(len(body.getvalue())))


app.get("/", index)
app.get("/item/:number", item)
app.get("/data", data)
app.get("/slow", slow)
app.post("/upload", upload)
app.static("/file", os.environ["BENCH_FILES"])
app.listen(int(sys.argv[1]), lambda config: None)
app.run()
