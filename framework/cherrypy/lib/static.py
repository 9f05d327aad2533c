"""Files of the disk as pages: ranges, conditional requests, downloads, whole directories.

Source: RFC 9110 sections 13 and 14; RFC 6266 for downloads.
"""

from __future__ import annotations

import io
import logging
import mimetypes
import os
import re
import stat
from collections.abc import Mapping
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError, NotFound
from cherrypy.core.logs import log
from cherrypy.http.dates import HTTPDate
from cherrypy.http.disposition import content_disposition as _make_content_disposition
from cherrypy.lib import file_generator_limited
from cherrypy.lib.conditional import validate_all, validate_since
from cherrypy.lib.filebody import FileBody, _serve_fileobj, make_boundary, remaining_length

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


def _setup_mimetypes() -> None:
    """Know the types that browsers ask for and tables of the system may lack."""
    if not mimetypes.inited:
        mimetypes.init()
    mimetypes.types_map.update(
        {".dwg": "image/x-dwg", ".ico": "image/x-icon", ".bz2": "application/x-bzip2", ".gz": "application/x-gzip"}
    )


_setup_mimetypes()


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
    response = serving.response
    if not os.path.isabs(path):
        raise ValueError(f"'{path}' is not an absolute path.")
    fileobj, status = _open_regular(path, debug)
    try:
        _set_validators(response, status)
        if content_type is None:
            extension = os.path.splitext(path)[1].lower()
            content_type = mimetypes.types_map.get(extension)
        if content_type is not None:
            response.headers["Content-Type"] = content_type
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


def _open_regular(path: str, debug: bool) -> tuple[Any, os.stat_result]:
    try:
        fileobj = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - the response closes it
    except PermissionError as error:
        raise HTTPError(403) from error
    except (OSError, ValueError, TypeError) as error:
        # not there; or a name no file can have: too long, with a NUL, not encodable
        if debug:
            log(f"cannot open {path!r}: {error}", "TOOLS.STATIC")
        raise NotFound() from error
    status = os.fstat(fileobj.fileno())
    if not stat.S_ISREG(status.st_mode):
        fileobj.close()
        if debug:
            log(f"{path!r} is not a regular file", "TOOLS.STATIC")
        raise NotFound()
    return fileobj, status


def _open_without_waiting(path: str, flags: int) -> int:
    # SECURITY: opening a FIFO would wait for its writer
    return os.open(path, flags | os.O_NONBLOCK)


def _set_validators(response: Any, status: os.stat_result) -> None:
    """Give the response Last-Modified and ETag, and answer from the client's copy if that is current."""
    response.headers["Last-Modified"] = HTTPDate(status.st_mtime)
    if "ETag" not in response.headers:
        response.headers["ETag"] = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    validate_all()


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


def _attempt(filename: str, content_types: ContentTypes | None, debug: bool = False) -> bool:
    """Serve *filename* if it is there; False leaves the request to its page handler."""
    content_type = None
    if content_types:
        content_type = content_types.get(os.path.splitext(filename)[1][1:])
    try:
        serve_file(filename, content_type=content_type, debug=debug)
    except NotFound:
        # the page handler may know better
        return False
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
    dir = os.path.expanduser(dir)
    if not os.path.isabs(dir):
        if not root:
            raise ValueError("Static dir requires an absolute dir (or root).")
        dir = os.path.join(root, dir)
    section = "" if section == "global" else section.rstrip(r"\/")
    branch = request.path_info[len(section) + 1 :].lstrip(r"\/")
    # the server has decoded everything but the slash; decoding twice would turn %252e into a dot
    branch = branch.replace("%2F", "/").replace("%2f", "/")
    filename = os.path.join(dir, branch) if branch else dir + os.sep
    if debug:
        log(f"Checking file {filename!r} to fulfill {request.path_info!r}", "TOOLS.STATICDIR")
    _require_inside(filename, dir, follow_symlinks)
    if _attempt(filename, content_types, debug):
        return True
    if not index:
        return False
    index_file = os.path.join(filename, index)
    _require_inside(index_file, dir, follow_symlinks)
    handled = _attempt(index_file, content_types, debug)
    if handled:
        # the trailing_slash tool then sees to it that relative links in it work
        request.is_index = True
    return handled


def _require_inside(filename: str, dir: str, follow_symlinks: bool) -> None:
    """Refuse *filename* unless it is *dir* or below it.

    Raises:
        HTTPError: 403.
    """
    if "\0" in filename:
        # no such file, which _attempt will find out
        return
    if not _is_below(os.path.normpath(filename), os.path.normpath(dir)):
        raise HTTPError(403)
    try:
        if follow_symlinks or _is_below(os.path.realpath(filename), os.path.realpath(dir)):
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


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top if top.endswith(os.sep) else top + os.sep)


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
