"""Sending the client, or only the request, elsewhere."""

from __future__ import annotations

import urllib.parse

from cherrypy.context import serving
from cherrypy.core.errors import HTTPRedirect, InternalRedirect
from cherrypy.core.logs import log
from cherrypy.core.urls import url as url_of

# RFC 3986, 3.3: what stands for itself in a path.
_KEPT = "/~!$&'(+)*,;=:@"


def redirect(url: str = "", internal: bool = True, debug: bool = False) -> None:
    """Go to *url* instead of here: unseen by the client if *internal*.

    Raises:
        InternalRedirect, HTTPRedirect: always.
    """
    if debug:
        log(f"Redirecting {'internal' if internal else 'external'}ly to: {url}", "TOOLS.REDIRECT")
    raise InternalRedirect(url) if internal else HTTPRedirect(url)


def trailing_slash(missing: bool = True, extra: bool = False, status: int | None = None, debug: bool = False) -> None:
    """Make index pages end with a slash, so that relative links work, and others not.

    Args:
        missing: redirect an index page asked for without its slash.
        extra: redirect another page asked for with one.
        status: of the redirect; default 301.
        debug: log what is seen.

    Raises:
        HTTPRedirect: the address should be the other one.
    """
    request = serving.request
    is_index = request.is_index
    if is_index is None:
        return
    path = request.path_info
    has_slash = path[-1:] == "/"
    if debug:
        log(f"is_index: {is_index!r}, missing: {missing!r}, extra: {extra!r}, path: {path!r}", "TOOLS.TRAILING_SLASH")
    if is_index is True:
        if not missing or has_slash:
            return
        path += "/"
    elif extra and has_slash and path != "/":
        path = path[:-1]
    else:
        return
    # SECURITY: '//host/..' as a relative Location would leave this site; such a path is sent with our own host
    relative: bool | str | None = False if path[1:2] in ("/", "\\") else None
    if relative is None and getattr(request.app, "relative_urls", False) is True:
        # relative to this page, whose address with and without a slash is the same to url(): it would lead to itself
        relative = "server"
    # the server has decoded all but the slash: a '?', '#' or '%' in a name is none in an address
    path = urllib.parse.quote("/" + path.lstrip("/\\"), safe=_KEPT).replace("%252F", "%2F").replace("%252f", "%2f")
    raise HTTPRedirect(url_of(path, request.query_string, relative=relative), status=status or 301)
