"""Tools' callables and helpers, under their documented names."""

from __future__ import annotations

from typing import Any

from cherrypy.core.streams import file_generator, file_generator_limited, is_closable_iterator, is_iterator
from cherrypy.lib import headers, reprconf

__all__ = [
    "file_generator",
    "file_generator_limited",
    "headers",
    "is_closable_iterator",
    "is_iterator",
    "reprconf",
    "set_vary_header",
]


def set_vary_header(response: Any, header_name: str) -> None:
    """Add *header_name* to the Vary header of *response*, once."""
    vary = response.headers.get("Vary", "")
    names = [name.strip() for name in vary.split(",") if name.strip()]
    if header_name not in names:
        names.append(header_name)
    response.headers["Vary"] = ", ".join(names)
