"""The benchmark's pages in Flask, for the peers' column."""

import os
import time

import flask

application = flask.Flask(__name__)


@application.get("/")
def index():
    """The smallest page."""
    return "Hello, world!"


@application.get("/item/<number>")
def item(number):
    """A page with a path segment and a query parameter."""
    return f"item {number} is {flask.request.args.get('colour', 'red')}"


@application.get("/data")
def data():
    """A small JSON document."""
    return {"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}}


@application.get("/slow")
def slow():
    """A handler that blocks as a database call would."""
    time.sleep(0.02)
    return "slow"


@application.post("/upload")
def upload():
    """A body that is read whole."""
    return str(len(flask.request.get_data()))


@application.get("/file/<path:name>")
def file(name):
    """A file of the folder that the bench names."""
    return flask.send_from_directory(os.environ["BENCH_FILES"], name)
