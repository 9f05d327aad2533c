"""Agreeing with the client on a media type, and saying which headers the answer depended on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.headermap import HeaderMap
from cherrypy.core.logs import log
from cherrypy.http.headers import CaseInsensitiveDict


def accept(media: str | list[str] | None = None, debug: bool = False) -> str | None:
    """Return the media type, of those in *media* (one or several), that the client likes best.

    Without an Accept header that is the first one.

    >>> accept(['text/html', 'application/json'])       # Accept: application/*, text/html;q=0.5
    'application/json'

    Raises:
        HTTPError: 406, the client wants none of them.
    """
    if not media:
        return None
    offered = [media] if isinstance(media, str) else list(media)
    request = serving.request
    ranges = request.headers.elements("Accept")
    if not ranges:
        return offered[0]
    refused = {one for one in offered if _is_refused(one, ranges)}
    for element in ranges:
        if element.qvalue > 0:
            for one in offered:
                if one not in refused and _covers(element.value, one):
                    if debug:
                        log(f"Match due to {element.value}", "TOOLS.ACCEPT")
                    return one
    sent = request.headers.get("Accept")
    raise HTTPError(
        406,
        f"Your client sent this Accept header: {sent}. "
        f"But this resource only emits these media types: {', '.join(offered)}.",
    )


def _is_refused(media: str, ranges: list[Any]) -> bool:
    """True when the most specific of *ranges* that covers *media* has the quality 0 (RFC 9110, 12.5.1)."""
    covering = [element for element in ranges if _covers(element.value, media)]
    # '*/*' is the least specific, a type without a star the most
    best = min((element.value.count("*") for element in covering), default=0)
    return any(element.qvalue == 0 for element in covering if element.value.count("*") == best)


def _covers(media_range: str, media: str) -> bool:
    """True when *media* is of *media_range* ('*/*', 'text/*' or a type)."""
    if media_range.endswith("/*"):
        return media_range == "*/*" or media.startswith(media_range[:-1])
    return media_range == media


class MonitoredHeaderMap(HeaderMap):
    """A header map that notes which fields were asked for, in ``accessed_headers``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.accessed_headers: set[str] = set()
        super().__init__(*args, **kwargs)
        self.accessed_headers.clear()

    def transform_key(self, key: Any) -> str:  # type: ignore[override]
        """The stored form of *key*, which from now on counts as accessed."""
        title = CaseInsensitiveDict.transform_key(key)
        self.accessed_headers.add(title)
        return title

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.transform_key(key))

    def __contains__(self, key: Any) -> bool:
        return super().__contains__(self.transform_key(key))

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of *key*, or *default*."""
        return super().get(self.transform_key(key), default)

    def has_key(self, key: Any) -> bool:
        """True when *key* is present."""
        return super().has_key(self.transform_key(key))


_NEVER_VARIES = frozenset(("Content-Disposition", "Content-Length", "Content-Type"))


def autovary(ignore: Iterable[str] | None = None, debug: bool = False) -> None:
    """Set the Vary header to all request headers that were looked at while the page was made.

    Args:
        ignore: headers that do not count; default: those that describe the body.
        debug: log the result.
    """
    request = serving.request
    monitored = MonitoredHeaderMap()
    dict.update(monitored, request.headers)
    request.headers = monitored
    ignored = _NEVER_VARIES if ignore is None else frozenset(ignore)

    def set_response_header() -> None:
        headers = serving.response.headers
        names = {element.value for element in headers.elements("Vary")} | monitored.accessed_headers
        vary = ", ".join(sorted(names - ignored))
        if debug:
            log(f"Vary: {vary}", "TOOLS.AUTOVARY")
        headers["Vary"] = vary

    request.hooks.attach("before_finalize", set_response_header, priority=95)
