"""The short way to a file: a GET below a section on which nothing but ``tools.staticdir`` and the default tools is on.

What the tool does for an ordinary request is done here without request and response, which are made when somebody
looks (a log that is read). Whatever is not exactly the plain case goes the long way from its beginning: conditions and
ranges, a file that is not there, that is no regular one, or that may be outside of its directory.

PERF: 150 us of processor time for 64 KiB the long way, 65 us here, sending included.
"""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING, Any

from cherrypy.app.application import announce_thread
from cherrypy.app.plainpage import may_come_again
from cherrypy.app.repeated import OK, fields_of
from cherrypy.app.unmade import Introduce, make
from cherrypy.context import serving
from cherrypy.core.logs import log
from cherrypy.httpd.files import OwnedFile
from cherrypy.httpd.message import HTTP_11, Answer
from cherrypy.lib.diskfiles import is_at, open_regular, read_whole
from cherrypy.lib.filehead import WISHES, type_of
from cherrypy.process.wspbus import bus

if TYPE_CHECKING:
    from cherrypy.app.route import Route

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
    branch = path[len(route.script_name) + files.section_length :]
    top = files.top
    filename = f"{top}{branch}" if top[-1:] == "/" else f"{top}/{branch}"
    content_type = _type_to_send(branch, filename, files.content_types)
    if content_type is None:
        return None
    here = serving.__dict__
    if here:
        here.clear()  # of a request that nobody closed: it would be logged for this one
    moment = time()
    answer = _answer_with(filename, top, content_type, moment)
    if answer is None:
        return None
    message.entering(route.key)
    here["_unmade"] = make, introduce, route, (), None, message, path, moment
    here["_finished"] = answer
    try:
        announce_thread()
        route.app.log.access()
    except Exception:
        log.error(traceback=True)
    here.clear()
    if message.batch is not None and may_come_again(route, None):
        message.batch[message.target] = Again(route, path, message.headers, filename, content_type, moment)
    return answer


class Again:
    """What ``serve`` has found for one request of a batch, for the others of the same batch and target.

    As ``plainpage.Again``; the file is opened for each of them, and where it is looked up.
    """

    __slots__ = ("content_type", "filename", "headers", "moment", "path", "route")

    def __init__(
        self,
        route: Route,
        path: str,
        headers: list[tuple[bytes, bytes]],
        filename: str,
        content_type: str,
        moment: float,
    ) -> None:
        self.route = route
        self.path = path
        self.headers = headers
        self.filename = filename
        self.content_type = content_type
        self.moment = moment

    def serve(self, message: Any) -> Answer | None:
        """Do what ``serve`` of this module does."""
        here = serving.__dict__
        if here:
            here.clear()
        if message.headers != self.headers and WISHES.any_among(message.headers):
            return None
        route = self.route
        answer = _answer_with(self.filename, route.walk.top, self.content_type, self.moment)
        if answer is not None:
            message.entering(route.key)
        return answer


def _type_to_send(branch: str, filename: str, content_types: Any) -> str | None:
    """Return the type of the file *branch* of a directory, called *filename*; None if the long way has to find it."""
    content_type = content_types.get(os.path.splitext(filename)[1][1:]) if content_types else None
    if content_type is None:
        content_type = type_of(filename)
    if content_type is None or not content_type.isascii() or ".." in branch or branch[:1] in ("/", "\\"):
        return None
    return content_type


def _answer_with(filename: str, top: str, content_type: str, moment: float) -> Answer | None:
    """Return the answer with a file; None if it is not certain that there is a regular one in *top* to send."""
    try:
        descriptor, status = open_regular(filename)
    except (OSError, ValueError):
        return None
    try:
        if not is_at(descriptor, filename, top):
            return None
        size = status.st_size
        fields = fields_of(moment, content_type, size, status.st_mtime_ns)
        if size > _SMALL_BYTES:
            body = OwnedFile(descriptor, size)
            descriptor = -1
            return OK, fields, body, None
        data = read_whole(descriptor, size)
        if data is None:
            return None  # it changes right now
        return OK, fields, [data] if data else [], None
    finally:
        if descriptor >= 0:
            os.close(descriptor)
