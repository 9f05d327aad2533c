"""A Flask application as it always was; it neither knows CherryPy nor that it is mounted under /legacy."""

import os

from flask import Flask, jsonify, request, url_for

PAGE = """<!doctype html>
<title>Old catalogue</title>
<h1>Old catalogue</h1>
<p><a href="{here}">{here}</a> · <a href="/">shop</a>
"""

app = Flask(__name__)


@app.after_request
def name_worker(response):
    """Say which worker process answered."""
    response.headers["X-Kirsch-Worker"] = os.environ.get("KIRSCH_WORKER", "alone")
    return response


@app.get("/")
def index():
    """Show that the mount path is known to Flask's own links."""
    here = url_for("item", number=42)
    return PAGE.format(here=here)


@app.get("/item/<int:number>")
def item(number):
    """Answer JSON with what the application believes of the request."""
    return jsonify(item=number, script_root=request.script_root, remote=request.remote_addr, scheme=request.scheme)


@app.post("/echo")
def echo():
    """Send a body back."""
    return request.get_data(), {"Content-Type": "application/octet-stream"}
