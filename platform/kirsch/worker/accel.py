"""``tools.accel``: large files that a page answers with are sent by nginx, which the worker tells where they are.

On for the applications of which the operator names folders (``accel`` in kirsch.toml); ``tools.accel.on = False`` keeps
a part of one out. What is not plainly a file below one of these, as it is now and as nginx can read it, is sent by the
worker as ever: so a page may answer with any file that it can read.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import cherrypy
from cherrypy.lib.static import FileBody
from kirsch.link.order import Order
from kirsch.spec import App
from kirsch.spec.accel import ACCEL_FIELD, ACCEL_PREFIX, CARRIED, COPIED

#: Smaller ones are sent by the worker sooner than nginx has opened them.
LEAST_BYTES = 65536
_REDIRECT = "X-Accel-Redirect"
# of the worker's own answer; nginx makes those of the file
_REMADE = frozenset({"accept-ranges", "connection", "content-length", "content-range", "date", "server"})
_KNOWN = COPIED | _REMADE | {name.lower() for name in CARRIED}
# what nginx may compress; of that it sends no parts
_SHRINKS = re.compile(r"text/|font/|javascript|json|wasm|xml")
_REQUEST_ID = re.compile(r"[0-9a-f]{32}\Z")


class Accel(cherrypy.Tool):
    """The tool; the last before an answer is final."""

    def __init__(self) -> None:
        super().__init__("before_finalize", self.hand_over, name="accel", priority=99)
        # then nginx can read what we can; else only what everybody can
        self._is_nginx_us = os.geteuid() != 0 and os.stat(f"/proc/{os.getppid()}").st_uid == os.geteuid()

    def hand_over(self, app: str, folders: Sequence[str]) -> None:
        """Have nginx send the file that is the response's body, if it is one that *app* may hand over."""
        response = cherrypy.serving.response
        headers = response.headers
        # SECURITY: a page that hands on others' answers must not hand on whereto they send our nginx
        headers.pop(_REDIRECT, None)
        body = response.body
        if body.__class__ is not FileBody or not self._may_leave(body):
            return
        path = self._readable_path(body)
        for place, folder in enumerate(folders):
            top = os.path.realpath(folder)
            if path is not None and path.startswith(f"{top}/"):
                request_id = cherrypy.serving.request.headers["X-Request-ID"]
                name = quote(os.fsencode(path[len(top) + 1 :]))
                body.close()
                response.body = b""
                response.status = 200
                for field in ("Accept-Ranges", "Content-Length", "Content-Range"):
                    headers.pop(field, None)
                headers[_REDIRECT] = f"{ACCEL_PREFIX}{app}/{place}/{name}?{request_id}"
                return

    def _may_leave(self, body: Any) -> bool:
        """True when nginx offers to send files, and would answer this request as the application did."""
        request, response = cherrypy.serving.request, cherrypy.serving.response
        asked, headers = request.headers, response.headers
        if request.method != "GET" or body.count < LEAST_BYTES or ACCEL_FIELD not in asked:
            return False
        if not _REQUEST_ID.match(asked.get("X-Request-ID", "")) or "If-Match" in asked:
            return False
        if any(name.lower() not in _KNOWN for name in headers):
            return False
        status = str(response.status or 200)[:3]
        if status == "206":
            # nginx reads the Range itself; of several parts the answer has another type
            kind = headers.get("Content-Type", "")
            return "multipart/" not in kind and not ("Accept-Encoding" in asked and _SHRINKS.search(kind))
        return status == "200" and "Range" not in asked

    def _readable_path(self, body: Any) -> str | None:
        """The real path of the file that *body* is of, if all of it is there for nginx; None otherwise."""
        file = body.input
        if file.__class__ is not io.BufferedReader:
            return None
        try:
            opened = os.fstat(file.fileno())
            path = os.readlink(f"/proc/self/fd/{file.fileno()}")
            there = os.stat(path)
        except (OSError, ValueError):
            return None
        if (opened.st_dev, opened.st_ino) != (there.st_dev, there.st_ino) or not stat.S_ISREG(there.st_mode):
            return None
        said = cherrypy.serving.response.headers.get("Content-Range")
        # a file object that somebody has begun to read is served from where it is
        is_whole = (
            body.offset == 0 and body.count == there.st_size if said is None else said.endswith(f"/{there.st_size}")
        )
        return path if is_whole and (self._is_nginx_us or _is_open_to_all(path, there)) else None


def accel_config(app: App, order: Order) -> dict[str, Any]:
    """What the root of *app* is configured with; installs the tool."""
    if not app.accel:
        return {}
    cherrypy.tools.accel = Accel()
    root = os.path.dirname(order.shared_dir)
    folders = tuple(os.path.join(root, folder) for folder in app.accel)
    return {"tools.accel.on": True, "tools.accel.app": app.name, "tools.accel.folders": folders}


def _is_open_to_all(path: str, status: os.stat_result) -> bool:
    if not status.st_mode & stat.S_IROTH:
        return False
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return False
    return True
