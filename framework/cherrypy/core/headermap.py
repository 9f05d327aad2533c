"""Header fields whose malformed elements are answers: what a page reads of ``request.headers`` may raise HTTPError.

The readers themselves live in ``cherrypy.http`` and know nothing of answers.
"""

from __future__ import annotations

from typing import Any, Self

from cherrypy.core.errors import HTTPError
from cherrypy.http import elements as _elements
from cherrypy.http import headers as _headers


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


def header_elements(fieldname: str, fieldvalue: str | None) -> list[_elements.HeaderElement]:
    """The elements of a header value, last in sort order first: for ``Accept*`` and ``TE``, the most wanted first.

    >>> [str(element) for element in header_elements('Accept', 'text/html;q=0.3, */*')]
    ['*/*', 'text/html;q=0.3']

    Raises:
        HTTPError: 400, a q-value is malformed.
    """
    return _elements.header_elements(fieldname, fieldvalue, AcceptElement)


class HeaderMap(_headers.HeaderMap):
    """Header fields of a request."""

    def elements(self, key: Any) -> list[_elements.HeaderElement]:
        """The comma-separated elements of the field *key*, most wanted first; [] when it is absent.

        Raises:
            HTTPError: 400, a q-value is malformed. COMPAT: pages catch that.
        """
        title = self.transform_key(key)
        return header_elements(title, self.get(title))
