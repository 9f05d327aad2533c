"""What the pure readers of this room raise: ``BadHeader``, a ``ValueError`` whose answer is 400."""

from __future__ import annotations


class BadHeader(ValueError):
    """A header field whose value breaks its grammar.

    Attributes:
        status: 400, the answer such a request gets.
    """

    status = 400
