"""What nginx adds to every answer of a vhost: one file of fields, included wherever something is answered.

One ``add_header`` of its own would make a location forget all that stand above it, so none has one.
"""

from __future__ import annotations

from collections.abc import Iterator

from kirsch.nginx import tls
from kirsch.nginx.directives import Block, Directive, Expr, block, directive, row
from kirsch.nginx.scope import Scope, variable
from kirsch.spec import Vhost

BASIC = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
STRICT = {
    **BASIC,
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
PRESETS: dict[str, dict[str, str]] = {"off": {}, "basic": BASIC, "strict": STRICT}
SHARED_FILE = "fields.conf"


def fields_file(scope: Scope, vhost: Vhost) -> str:
    """The file to include: everybody's, or one of *vhost*'s own."""
    has_own = _own(vhost) or tls.field_lines(scope, vhost)
    return f"vhosts/{vhost.name}.fields.conf" if has_own else SHARED_FILE


def shared_lines() -> list[Directive]:
    """What every answer has."""
    return [directive("add_header", "X-Request-ID", Expr("$request_id"), "always")]


def field_lines(scope: Scope, vhost: Vhost) -> list[Directive]:
    """The content of :func:`fields_file`."""
    own = [
        directive("add_header", name, Expr(f"${_variable(vhost, place)}"), "always")
        for place, name in enumerate(_own(vhost))
    ]
    return [*shared_lines(), *tls.field_lines(scope, vhost), *own]


def maps(scope: Scope) -> Iterator[Block]:
    """A variable for each field of a vhost's own: empty, and so no field, where the application says it itself."""
    for vhost in scope.stack.vhosts.values():
        for place, (name, value) in enumerate(_own(vhost).items()):
            said = Expr(f"$upstream_http_{name.lower().replace('-', '_')}")
            body = [row("default", ""), row("", value)]
            yield block("map", said, Expr(f"${_variable(vhost, place)}"), body=body)


def _own(vhost: Vhost) -> dict[str, str]:
    named = {name.lower() for name in vhost.headers}
    preset = {name: value for name, value in PRESETS[vhost.security].items() if name.lower() not in named}
    return {**preset, **vhost.headers}


def _variable(vhost: Vhost, place: int) -> str:
    return variable(f"field{place}", vhost.name)
