"""The short way to a file: a GET below a section on which nothing but ``tools.staticdir`` and the default tools is on.

What the tool does for an ordinary request is done here without request and response, which are made when somebody
looks (a log that is read). Whatever is not exactly the plain case goes the long way from its beginning: conditions and
ranges, a file that is not there, that is no regular one, or that may be outside of its directory.

PERF: 150 us of processor time for 64 KiB the long way, 65 us here, sending included.
"""

from __future__ import annotations

import io
import os
from time import time
from typing import TYPE_CHECKING, Any

from cherrypy.app.application import announce_thread
from cherrypy.app.unmade import Introduce, make
from cherrypy.context import serving
from cherrypy.core.logs import log
from cherrypy.core.response import plain_header_list
from cherrypy.httpd.message import HTTP_11, Answer
from cherrypy.httpd.writer import FileSlice
from cherrypy.lib.diskfiles import is_at, open_regular, read_whole
from cherrypy.lib.filehead import WISHES, type_of, validator_fields
from cherrypy.process.wspbus import bus

if TYPE_CHECKING:
    from cherrypy.app.route import Route

_OK = b"200 OK"
# Files of up to so many octets are read and sent with their head, larger ones by ``sendfile``. PERF: with 64 KiB that
# takes 65 us of processor time instead of 76.
_SMALL_BYTES = 16384


def serve(route: Route, message: Any, path: str, introduce: Introduce) -> Answer | None:
    """Return the answer to a GET for a file; None, and nothing has happened, if the long way has to be gone.

    Args:
        route: leads to a ``Files``.
        message: a GET without body.
        path: as it was sent; there is no percent sign in it.
        introduce: as for ``plainpage.serve``.
    """
    listeners = bus.listeners
    if (
        message.version != HTTP_11
        or WISHES.any_among(message.headers)
        or listeners.get("before_request")
        or listeners.get("after_request")
    ):
        return None
    files = route.walk
    found = _open(files.top, path[len(route.script_name) + files.section_length :], files.content_types)
    if found is None:
        return None
    message.entering(route.key)
    descriptor, size, modified_ns, content_type = found
    here = serving.__dict__
    moment = time()
    body: Any
    close = None
    try:
        if size <= _SMALL_BYTES:
            body = read_whole(descriptor, size)
            if body is None:
                return None  # it changes right now
            body = [body] if body else []
        else:
            file: Any = io.FileIO(descriptor, "rb")
            descriptor = -1
            body, close = FileSlice(file, 0, size), file.close
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    headers = plain_header_list(moment, content_type, size)
    headers[3:3] = validator_fields(modified_ns, size)
    if here:
        here.clear()  # of a request that nobody closed: it would be logged for this one
    here["_unmade"] = make, introduce, route, (), None, message, path, moment
    here["_finished"] = answer = _OK, headers, body, close
    try:
        announce_thread()
        route.app.log.access()
    except Exception:
        log.error(traceback=True)
    here.clear()
    return answer


def _open(top: str, branch: str, content_types: Any) -> tuple[int, int, int, str] | None:
    """Open the file *branch* of the directory *top*: descriptor, size, time of its last change in ns, type.

    None if it is not certain that there is a regular file that may be sent, and of what type.
    """
    filename = f"{top}{branch}" if top[-1:] == "/" else f"{top}/{branch}"
    content_type = content_types.get(os.path.splitext(filename)[1][1:]) if content_types else None
    if content_type is None:
        content_type = type_of(filename)
    if content_type is None or not content_type.isascii() or ".." in branch or branch[:1] in ("/", "\\"):
        return None
    try:
        descriptor, status = open_regular(filename)
    except (OSError, ValueError):
        return None
    try:
        is_inside = is_at(descriptor, filename, top)
    except BaseException:
        os.close(descriptor)
        raise
    if not is_inside:
        os.close(descriptor)
        return None
    return descriptor, status.st_size, status.st_mtime_ns, content_type
