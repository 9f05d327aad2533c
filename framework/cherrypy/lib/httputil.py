"""The documented names of ``cherrypy.lib.httputil``; the facts live in ``cherrypy.http``."""

from __future__ import annotations

from typing import Self

from cherrypy.core.errors import HTTPError
from cherrypy.core.host import Host
from cherrypy.http import elements as _elements
from cherrypy.http.dates import HTTPDate, parse_date
from cherrypy.http.elements import (
    RE_HEADER_SPLIT,
    HeaderElement,
    SanitizedHost,
    decode_TEXT,
    decode_TEXT_maybe,
    header_elements,
    parse_header,
    q_separator,
)
from cherrypy.http.headers import (
    CaseInsensitiveDict,
    HeaderMap,
    header_translate_deletechars,
    header_translate_table,
)
from cherrypy.http.query import image_map_pattern, parse_query_string
from cherrypy.http.ranges import get_ranges
from cherrypy.http.status import RESPONSE_CODES, valid_status
from cherrypy.http.text import to_bytes as ntob
from cherrypy.http.text import to_text as ntou
from cherrypy.http.urls import protocol_from_http, urljoin, urljoin_bytes

response_codes = RESPONSE_CODES


class AcceptElement(_elements.AcceptElement):
    """An element of an ``Accept*`` field whose ``qvalue`` answers 400 when it is malformed."""

    @property
    def qvalue(self) -> float:
        """How much the client wants this, 0 (not at all) to 1.

        Raises:
            HTTPError: 400, the number is malformed.
        """
        try:
            return super().qvalue
        except ValueError as error:
            raise HTTPError(400, str(error)) from error

    @classmethod
    def from_str(cls, elementstr: str) -> Self:
        """Make an element of its text."""
        return super().from_str(elementstr)


__all__ = [
    "RE_HEADER_SPLIT",
    "AcceptElement",
    "CaseInsensitiveDict",
    "HTTPDate",
    "HeaderElement",
    "HeaderMap",
    "Host",
    "SanitizedHost",
    "decode_TEXT",
    "decode_TEXT_maybe",
    "get_ranges",
    "header_elements",
    "header_translate_deletechars",
    "header_translate_table",
    "image_map_pattern",
    "ntob",
    "ntou",
    "parse_date",
    "parse_header",
    "parse_query_string",
    "protocol_from_http",
    "q_separator",
    "response_codes",
    "urljoin",
    "urljoin_bytes",
    "valid_status",
]
