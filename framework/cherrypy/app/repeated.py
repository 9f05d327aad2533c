"""Fields that many answers of the short ways have in common: made once a second."""

from __future__ import annotations

from cherrypy.core.response import plain_header_list
from cherrypy.httpd.writer import RepeatedFields
from cherrypy.lib.filehead import validator_fields

OK = b"200 OK"

# (second, the next one, {(Content-Type, length of the body, change of a file): fields})
_fields: tuple[int, int, dict[tuple[str, int, int | None], RepeatedFields]] = (0, 0, {})
_SIZE = 256


def fields_of(moment: float, content_type: str, length: int, modified_ns: int | None = None) -> RepeatedFields:
    """Return the fields of an answer that nobody gave any of his own.

    Args:
        moment: when its request began, in seconds since the epoch.
        content_type: as it is sent.
        length: of the body, in octets.
        modified_ns: when the file was changed that is sent, in nanoseconds since the epoch; None for a page.
    """
    global _fields
    second, next_second, known = _fields
    if not second <= moment < next_second:
        second, known = int(moment), {}
        _fields = (second, second + 1, known)
    key = (content_type, length, modified_ns)
    fields = known.get(key)
    if fields is None:
        pairs = plain_header_list(moment, content_type, length)
        if modified_ns is not None:
            pairs[3:3] = validator_fields(modified_ns, length)
        fields = RepeatedFields(pairs, OK, length)
        if len(known) < _SIZE:
            known[key] = fields
    return fields
