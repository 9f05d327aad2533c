"""A body that is a whole file is left to the server (``wsgi.file_wrapper``): the kernel sends it, nobody reads it.

Source: PEP 3333, "Optional Platform-Specific File Handling".
"""

from __future__ import annotations

import os
from typing import Any

from cherrypy.lib.filebody import FileBody
from cherrypy.wsgi.app import AppResponse, Environ
from cherrypy.wsgi.middleware import _TrappedResponse

_BLOCK = 65536


class SentFile:
    """The file as the server takes it; closing it ends the request, as closing the answer would have done."""

    def __init__(self, file: Any, answer: Any) -> None:
        self.read = file.read
        self.fileno = file.fileno
        self.seek = file.seek
        self.tell = file.tell
        self._answer = answer

    def close(self) -> None:
        """End the request, once."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()


def hand_over(answer: Any, environ: Environ) -> Any:
    """Return *answer*, or the server's own wrapper around its file if that is the whole body.

    Parts of files are read here: servers disagree about where a file begins and ends (uWSGI sends all of it).
    """
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None or answer.__class__ is not _TrappedResponse or answer.response.__class__ is not AppResponse:
        return answer
    body = answer.response._response.body
    if body.__class__ is not FileBody or body.offset or not _sends_at_once(environ) or not _is_whole(body):
        return answer
    return wrapper(SentFile(body.input, answer), body.chunkSize)


def send(file: Any, count: int, environ: Environ) -> Any:
    """Return an iterable over all *count* octets of an open file whose request is over; closing it closes *file*.

    That is the server's own wrapper if the server sends no more than was declared of a file that has grown since.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is not None and _keeps_to_the_length(environ):
        return wrapper(file, _BLOCK)
    return FileBody(file, 0, count, _BLOCK)


def _keeps_to_the_length(environ: Environ) -> bool:
    return _sends_at_once(environ) or environ.get("SERVER_SOFTWARE") == "waitress"


def _sends_at_once(environ: Environ) -> bool:
    """True for servers that send before they take the thread's next request.

    Others (waitress) close the file later, from another thread, where this one's request is not the current one.
    """
    return "uwsgi.version" in environ or str(environ.get("SERVER_SOFTWARE")).startswith("gunicorn/")


def _is_whole(body: FileBody) -> bool:
    try:
        return os.fstat(body.input.fileno()).st_size == body.count
    except (AttributeError, OSError, ValueError):  # no file of the system's
        return False
