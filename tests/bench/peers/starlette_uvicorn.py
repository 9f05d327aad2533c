# /// script
# dependencies = ["uvicorn[standard]", "starlette", "fastapi"]
# [tool.bench]
# place = 11
# title = "Starlette on uvicorn"
# environment = "uvicorn"
# ///
"""Starlette on uvicorn with uvloop and httptools; the handler that blocks runs in its thread pool."""

import os
import sys
import time
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles


async def index(request):
    """The smallest page."""
    return PlainTextResponse("Hello, world!")


async def item(request):
    """A page with a path segment and a query parameter."""
    number, colour = request.path_params["number"], request.query_params.get("colour", "red")
    return PlainTextResponse(f"item {number} is {colour}")


async def data(request):
    """A small JSON document."""
    return JSONResponse({"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}})


def slow(request):
    """A handler that blocks as a database call would."""
    time.sleep(0.02)
    return PlainTextResponse("slow")


async def upload(request):
    """A body that is read whole."""
    return PlainTextResponse(str(len(await request.body())))


@asynccontextmanager
async def lifespan(app):
    """Let as many handlers block as the others may."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(sys.argv[2])
    yield


routes = [
    Route("/", index),
    Route("/item/{number}", item),
    Route("/data", data),
    Route("/slow", slow),
    Route("/upload", upload, methods=["POST"]),
    Mount("/file", StaticFiles(directory=os.environ["BENCH_FILES"])),
]
tls = {"ssl_certfile": os.environ["BENCH_CERTIFICATE"], "ssl_keyfile": os.environ["BENCH_KEY"]}
uvicorn.run(
    Starlette(routes=routes, lifespan=lifespan),
    port=int(sys.argv[1]),
    log_level="error",
    access_log=False,
    timeout_keep_alive=30,
    **(tls if os.environ["BENCH_CERTIFICATE"] else {}),
)
