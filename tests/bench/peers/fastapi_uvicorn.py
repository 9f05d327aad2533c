# /// script
# dependencies = ["uvicorn[standard]", "starlette", "fastapi"]
# [tool.bench]
# place = 12
# title = "FastAPI on uvicorn"
# environment = "uvicorn"
# ///
"""FastAPI on uvicorn with uvloop and httptools; the handler that blocks runs in its thread pool."""

import os
import sys
import time
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles


@asynccontextmanager
async def lifespan(app):
    """Let as many handlers block as the others may."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(sys.argv[2])
    yield


application = FastAPI(lifespan=lifespan)


@application.get("/", response_class=PlainTextResponse)
async def index():
    """The smallest page."""
    return "Hello, world!"


@application.get("/item/{number}", response_class=PlainTextResponse)
async def item(number: int, colour: str = "red"):
    """A page with a path segment and a query parameter."""
    return f"item {number} is {colour}"


@application.get("/data")
async def data():
    """A small JSON document."""
    return {"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}}


@application.get("/slow", response_class=PlainTextResponse)
def slow():
    """A handler that blocks as a database call would."""
    time.sleep(0.02)
    return "slow"


@application.post("/upload", response_class=PlainTextResponse)
async def upload(request: Request):
    """A body that is read whole."""
    return str(len(await request.body()))


application.mount("/file", StaticFiles(directory=os.environ["BENCH_FILES"]))
tls = {"ssl_certfile": os.environ["BENCH_CERTIFICATE"], "ssl_keyfile": os.environ["BENCH_KEY"]}
uvicorn.run(
    application,
    port=int(sys.argv[1]),
    log_level="error",
    access_log=False,
    timeout_keep_alive=30,
    **(tls if os.environ["BENCH_CERTIFICATE"] else {}),
)
