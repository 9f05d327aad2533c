"""The documented names of ``cherrypy.lib.httputil``; the facts live in ``cherrypy.http``."""

from __future__ import annotations

from cherrypy.core.headermap import AcceptElement, header_elements
from cherrypy.core.host import Host
from cherrypy.http.dates import HTTPDate, parse_date
from cherrypy.http.elements import (
    RE_HEADER_SPLIT,
    HeaderElement,
    SanitizedHost,
    decode_TEXT,
    decode_TEXT_maybe,
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
