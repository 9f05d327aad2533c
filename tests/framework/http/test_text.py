"""Text and bytes."""

from __future__ import annotations

import pytest

from cherrypy.http.text import assert_text, to_bytes, to_native, to_text


def test_the_edge_is_crossed_in_latin_1() -> None:
    """Unless another charset is named."""
    assert to_bytes("\xfc") == b"\xfc"
    assert to_bytes("\xfc", "utf-8") == b"\xc3\xbc"
    assert to_native(b"\xfc") == to_native("\xfc") == to_text("\xfc") == "\xfc"
    assert to_text("\\u20ac", "escape") == "\\u20ac"


def test_other_types_are_refused() -> None:
    """Bytes where text belongs are a mistake of the caller."""
    for refuse in (to_bytes, to_text, assert_text):
        with pytest.raises(TypeError, match="n must be a native str"):
            refuse(b"a")  # type: ignore[operator]
