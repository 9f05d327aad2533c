"""What nginx and workers agree on when a page answers with a file: who says what in which field."""

from __future__ import annotations

from typing import Annotated

import msgspec

ACCEL_FIELD = "X-Kirsch-Files"
"""nginx tells a worker in it that it will send files; a client's own never gets through."""

ACCEL_PREFIX = "/.kirsch/files/"
"""Where they are for nginx, and for nobody else: ``/.kirsch/files/APP/PLACE/PATH?ID OF THE REQUEST``."""

COPIED = frozenset({"cache-control", "content-disposition", "content-type", "expires", "set-cookie"})
"""Fields of a worker's answer that nginx itself takes over into the file's."""

CARRIED = (
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Content-Language",
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "ETag",
    "Last-Modified",
    "Permissions-Policy",
    "Referrer-Policy",
    "Vary",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-Robots-Tag",
)
"""Fields that nginx is told to take over. An answer with any other one is the worker's to send."""

_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[^\x00-\x1f\x7f-\x9f$/\ud800-\udfff]+"
SentFolder = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^/?{_SEGMENT}(?:/{_SEGMENT})*\Z",
        max_length=1000,
        description=(
            "a folder, \"/srv/media\", or \"shared/uploads\" below the deploy root; without '.' or '..', '$', an empty "
            "segment, and a slash at its end"
        ),
    ),
]
