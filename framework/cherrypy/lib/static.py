"""Files of the disk as pages: ranges, conditional requests, downloads, whole directories.

Source: RFC 9110 sections 13 and 14; RFC 6266 for downloads.
"""

from __future__ import annotations

import io
import logging
import os
import re
import stat
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError, NotFound
from cherrypy.core.logs import log
from cherrypy.http.dates import HTTPDate
from cherrypy.http.disposition import content_disposition as _make_content_disposition
from cherrypy.lib import file_generator_limited
from cherrypy.lib.conditional import validate_since
from cherrypy.lib.diskfiles import buffered, is_at, is_below, is_certainly_at, open_regular, read_whole
from cherrypy.lib.filebody import FileBody, _serve_fileobj, make_boundary, remaining_length
from cherrypy.lib.filehead import describe

__all__ = [
    "FileBody",
    "file_generator_limited",
    "make_boundary",
    "serve_download",
    "serve_file",
    "serve_fileobj",
    "staticdir",
    "staticfile",
]

ContentTypes = Mapping[str, str]

_set_header = dict.__setitem__
#: Files of up to so many octets are read and sent with their head, larger ones by ``sendfile``.
_SMALL_BYTES = 65536
#: How often a file is opened that turns out to have been elsewhere by then.
_ATTEMPTS = 3


def serve_file(
    path: str,
    content_type: str | None = None,
    disposition: str | None = None,
    name: str | None = None,
    debug: bool = False,
) -> Any:
    """Answer with the file at *path*.

    Args:
        path: absolute.
        content_type: default: by the extension; unknown ones leave the response's.
        disposition: 'attachment' or 'inline', to set Content-Disposition.
        name: for that; default: the file's own.
        debug: log what is decided.

    Returns:
        The response's body, an iterator whose ``input`` is the open file.

    Raises:
        ValueError: *path* is relative.
        NotFound: there is no regular file.
        HTTPError: 403 for one that may not be read, 412, 416; HTTPRedirect 304.
    """
    if not os.path.isabs(path):
        raise ValueError(f"'{path}' is not an absolute path.")
    descriptor, status = _open(path, debug)
    fileobj = buffered(descriptor, path)
    try:
        response = serving.response
        content_type, _ = describe(serving.request, response, path, status, content_type)
        if disposition is not None:
            response.headers["Content-Disposition"] = _make_content_disposition(
                disposition, os.path.basename(path) if name is None else name
            )
        if debug:
            log(f"Serving {path!r} as {content_type!r}", "TOOLS.STATIC")
        return _serve_fileobj(fileobj, content_type, status.st_size, debug)
    except BaseException:
        # 304, 412 and 416 end here as well
        fileobj.close()
        raise


def _open(path: str, debug: bool) -> tuple[int, os.stat_result]:
    """Open a regular file: its descriptor, and what it is.

    Raises:
        NotFound: there is none.
        HTTPError: 403, it may not be read.
    """
    try:
        return open_regular(path)
    except PermissionError as error:
        raise HTTPError(403) from error
    except (OSError, ValueError, TypeError) as error:
        # not there, or no regular file; or a name no file can have: too long, with a NUL, not encodable
        if debug:
            log(f"cannot open {path!r}: {error}", "TOOLS.STATIC")
        raise NotFound() from error


def serve_fileobj(
    fileobj: Any,
    content_type: str | None = None,
    disposition: str | None = None,
    name: str | None = None,
    debug: bool = False,
) -> Any:
    """Answer with what can be read from *fileobj*, a binary file or anything with ``read``.

    Args:
        fileobj: served from its position on; closed when it is sent.
        content_type: default: the response's.
        disposition: 'attachment' or 'inline', to set Content-Disposition.
        name: for that; default: none is sent.
        debug: log what is decided.
    """
    response = serving.response
    try:
        length = _length_of(fileobj, response)
        if content_type is not None:
            response.headers["Content-Type"] = content_type
        if disposition is not None:
            response.headers["Content-Disposition"] = (
                disposition if name is None else _make_content_disposition(disposition, name)
            )
        return _serve_fileobj(fileobj, content_type, length, debug)
    except BaseException:
        # 304, 412 and 416 end here as well
        if hasattr(fileobj, "close"):
            fileobj.close()
        raise


def _length_of(fileobj: Any, response: Any) -> int | None:
    """How many bytes there are to send, None if nobody knows; a file of the disk also gets its Last-Modified."""
    try:
        status = os.fstat(fileobj.fileno())
    except (AttributeError, OSError, io.UnsupportedOperation):
        return remaining_length(fileobj)
    if not stat.S_ISREG(status.st_mode):
        return None
    response.headers["Last-Modified"] = HTTPDate(status.st_mtime)
    validate_since()
    # gzip.GzipFile and the like have the descriptor of what they read, not of what they give
    is_plain = isinstance(getattr(fileobj, "file", fileobj), io.BufferedReader | io.BufferedRandom | io.FileIO)
    return remaining_length(fileobj, status.st_size if is_plain else None)


def serve_download(path: str, name: str | None = None) -> Any:
    """Answer with the file at *path* for the client to save, under *name* or its own."""
    return serve_file(path, "application/x-download", "attachment", name)


def _serve(descriptor: int, status: os.stat_result, path: str, content_types: ContentTypes | None, debug: bool) -> None:
    """Answer with a regular file that was just opened as *path*, and close it."""
    request, response = serving.request, serving.response
    content_type = content_types.get(os.path.splitext(path)[1][1:]) if content_types else None
    fileobj = None
    try:
        size = status.st_size
        content_type, may_want_part = describe(request, response, path, status, content_type)
        if debug:
            log(f"Serving {path!r} as {content_type!r}", "TOOLS.STATIC")
        if size <= _SMALL_BYTES and not may_want_part and _serve_small(request, response, descriptor, size):
            return
        fileobj, descriptor = buffered(descriptor, path), -1
        _serve_fileobj(fileobj, content_type, size, debug)
    except BaseException:
        # 304, 412 and 416 end here as well
        if fileobj is not None:
            fileobj.close()
        raise
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _serve_small(request: Any, response: Any, descriptor: int, size: int) -> bool:
    """Answer with all of a small file; False if it changes right now.

    PERF: one read instead of a file object, of which the server makes a copy to send from: 12 us.
    """
    content = read_whole(descriptor, size) if request.method != "HEAD" else b""
    if content is None:
        return False
    headers = response.headers
    if request.protocol >= (1, 1):
        _set_header(headers, "Accept-Ranges", "bytes")
    _set_header(headers, "Content-Length", str(size))
    response.body = content
    return True


def _attempt(filename: str, content_types: ContentTypes | None, debug: bool = False) -> bool:
    """Serve *filename* if it is there; False leaves the request to its page handler."""
    try:
        descriptor, status = _open(filename, debug)
    except NotFound:
        # the page handler may know better
        return False
    _serve(descriptor, status, filename, content_types, debug)
    return True


def _is_asked_for(request: Any, match: str, debug: bool, tool: str) -> bool:
    if request.method not in ("GET", "HEAD"):
        if debug:
            log("request.method not GET or HEAD", tool)
        return False
    if match and not re.search(match, request.path_info):
        if debug:
            log(f"request.path_info {request.path_info!r} does not match pattern {match!r}", tool)
        return False
    return True


def staticdir(
    section: str,
    dir: str,
    root: str = "",
    match: str = "",
    content_types: ContentTypes | None = None,
    index: str = "",
    debug: bool = False,
    follow_symlinks: bool = False,
) -> bool:
    """Serve the files below a directory; what is not there goes on to the page handler.

    Args:
        section: the configuration section (a path) that the rest of the URL is relative to.
        dir: the directory; ``~`` is expanded.
        root: what *dir* is relative to, if it is.
        match: a regular expression that the path must contain.
        content_types: {extension without dot: type}, before the usual ones.
        index: the file to serve for a directory.
        debug: log what is decided.
        follow_symlinks: also serve what a link inside the directory points to outside of it.

    Returns:
        True when a file is the answer.

    Raises:
        ValueError: *dir* is relative and there is no *root*.
        HTTPError: 403 for a path that leaves the directory.

    SECURITY: containment is that of real paths, and ends at a separator: 'static-secret' is not in 'static', and a
    link is no way out unless the configuration says so.
    """
    request = serving.request
    if not _is_asked_for(request, match, debug, "TOOLS.STATICDIR"):
        return False
    top = top_of(dir, root) if str(dir)[:1] != "~" else top_of(os.path.expanduser(dir), root)
    section = "" if section == "global" else section.rstrip(r"\/")
    branch = request.path_info[len(section) + 1 :].lstrip(r"\/")
    # the server has decoded everything but the slash; decoding twice would turn %252e into a dot
    if "%2" in branch:
        branch = branch.replace("%2F", "/").replace("%2f", "/")
    # PERF: what ``os.path.join`` does, whose loop costs 0.7 us
    filename = branch if branch[:1] == os.sep else f"{top}{branch}" if top[-1:] == os.sep else f"{top}{os.sep}{branch}"
    if debug:
        log(f"Checking file {filename!r} to fulfill {request.path_info!r}", "TOOLS.STATICDIR")
    if _attempt_inside(filename, top, follow_symlinks, content_types, debug):
        return True
    if not index:
        return False
    handled = _attempt_inside(os.path.join(filename, index), top, follow_symlinks, content_types, debug)
    if handled:
        # the trailing_slash tool then sees to it that relative links in it work
        request.is_index = True
    return handled


@lru_cache(maxsize=256)
def top_of(dir: str, root: str) -> str:
    """Return the directory's path: a matter of its text alone.

    Raises:
        ValueError: *dir* is relative and there is no *root*.
    """
    if os.path.isabs(dir):
        return os.fspath(dir)
    if not root:
        raise ValueError("Static dir requires an absolute dir (or root).")
    return os.path.join(root, dir)


def _attempt_inside(
    filename: str, top: str, follow_symlinks: bool, content_types: ContentTypes | None, debug: bool
) -> bool:
    """Serve *filename* if it is there, and is in the directory *top*.

    Raises:
        HTTPError: 403, it is outside.
    """
    # PERF: a name without dots that go up is below the directory that it begins with, but for links
    if ".." in filename[len(top) :] or not is_below(filename, top):
        _require_inside(filename, top, follow_symlinks)
    for _ in range(_ATTEMPTS):
        try:
            descriptor, status = _open(filename, debug)
        except HTTPError as error:
            # SECURITY: whether there is something beyond a link that leads out is not told
            if not follow_symlinks and not is_certainly_at(filename, top):
                _require_inside(filename, top, follow_symlinks)
            if isinstance(error, NotFound):
                # the page handler may know better
                return False
            raise
        verdict = follow_symlinks or is_at(descriptor, filename, top)
        if not verdict:
            try:
                # says so if it is a link out
                _require_inside(filename, top, follow_symlinks)
            except BaseException:
                os.close(descriptor)
                raise
        if verdict is not False:
            _serve(descriptor, status, filename, content_types, debug)
            return True
        # the file was outside when it was opened, and is inside now: releases are being switched, or somebody tries
        os.close(descriptor)
    raise HTTPError(403)


def _require_inside(filename: str, dir: str, follow_symlinks: bool) -> None:
    """Refuse *filename* unless it is *dir* or below it.

    Raises:
        HTTPError: 403.
    """
    if "\0" in filename:
        # no such file, which _attempt will find out
        return
    if not is_below(os.path.normpath(filename), os.path.normpath(dir)):
        raise HTTPError(403)
    try:
        if follow_symlinks or is_below(os.path.realpath(filename), os.path.realpath(dir)):
            return
    except ValueError:
        # a name that cannot be encoded is no file's, which _attempt will find out
        return
    log(
        f"{filename!r} is a link out of {dir!r}: it is served only with tools.staticdir.follow_symlinks = True",
        "TOOLS.STATICDIR",
        severity=logging.WARNING,
    )
    raise HTTPError(403)


def staticfile(
    filename: str,
    root: str | None = None,
    match: str = "",
    content_types: ContentTypes | None = None,
    debug: bool = False,
) -> bool:
    """Serve one file; if it is not there the request goes on to the page handler.

    Args:
        filename: the file.
        root: what it is relative to, if it is.
        match: a regular expression that the path must contain.
        content_types: {extension without dot: type}, before the usual ones.
        debug: log what is decided.

    Raises:
        ValueError: *filename* is relative and there is no *root*.
    """
    if not _is_asked_for(serving.request, match, debug, "TOOLS.STATICFILE"):
        return False
    if not os.path.isabs(filename):
        if not root:
            raise ValueError(f"Static tool requires an absolute filename (got '{filename}').")
        filename = os.path.join(root, filename)
    return _attempt(filename, content_types, debug)
