"""Tools' callables and helpers, under their documented names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cherrypy.core.streams import file_generator, file_generator_limited, is_closable_iterator, is_iterator
from cherrypy.lib import headers, reprconf

if TYPE_CHECKING:
    # At run time ``import cherrypy`` has imported them.
    from cherrypy.lib import auth_basic as auth_basic
    from cherrypy.lib import auth_digest as auth_digest
    from cherrypy.lib import caching as caching
    from cherrypy.lib import cptools as cptools
    from cherrypy.lib import encoding as encoding
    from cherrypy.lib import httputil as httputil
    from cherrypy.lib import jsontools as jsontools
    from cherrypy.lib import locking as locking
    from cherrypy.lib import sessions as sessions
    from cherrypy.lib import static as static
    from cherrypy.lib import xmlrpcutil as xmlrpcutil

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
