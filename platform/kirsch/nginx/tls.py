"""TLS of a vhost: certificates, protocols, sessions, and what browsers are told."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx.directives import Block, Comment, Directive, Expr, block, directive, row
from kirsch.nginx.scope import Scope, variable
from kirsch.spec import Certificate, Vhost

# Mozilla's "intermediate" list: every client since 2014, nothing without forward secrecy
TLS_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
PROFILES = {"intermediate": ("TLSv1.2", "TLSv1.3"), "modern": ("TLSv1.3",)}
ALT_SVC_AGE_S = 86400


def shared_settings() -> list[Directive]:
    """What holds for all of TLS here; the parts of one vhost say the rest."""
    return [
        directive("ssl_ciphers", TLS_CIPHERS),
        directive("ssl_prefer_server_ciphers", "off"),
        directive("ssl_session_cache", "shared:kirsch_tls:10m"),
        directive("ssl_session_timeout", "1d"),
    ]


def vhost_settings(scope: Scope, vhost: Vhost) -> Iterable[Directive | Comment]:
    """The directives of *vhost* itself: nothing where it speaks no TLS."""
    tls = vhost.tls
    if tls is None:
        return
    if vhost.http2 and scope.build.has("http2 directive"):
        yield directive("http2", "on")
    if speaks_http3(scope, vhost):
        yield directive("http3", "on")
    pairs = present(scope, vhost)
    for pair in pairs:
        yield from _loaded(scope, pair)
    if tls.stapling and all(pair.certificate in scope.ground.stapled for pair in pairs):
        # the answer is fetched by nginx, so that no client has to tell the authority where it goes
        yield directive("ssl_stapling", "on")
    yield from protocols(tls.profile)
    # before 1.23.2 one key would last until the next reload: whoever gets it reads everything of that time
    yield directive("ssl_session_tickets", "on" if tls.tickets and scope.build.has("ticket rotation") else "off")


def protocols(profile: str) -> list[Directive]:
    """The versions of TLS that *profile* allows."""
    return [directive("ssl_protocols", *PROFILES[profile])]


def placeholder(scope: Scope, vhost: Vhost) -> Certificate:
    """Where the self-signed pair of *vhost* is, for the time until its own is there."""
    folder = f"{scope.paths.nginx}/tls"
    return Certificate(certificate=f"{folder}/{vhost.name}.pem", key=f"{folder}/{vhost.name}.key")


def present(scope: Scope, vhost: Vhost) -> list[Certificate]:
    """The pairs of *vhost* whose files are there, with absolute paths; else the placeholder alone."""
    if vhost.tls is None:
        return []
    known = scope.ground.certificates
    pairs = [
        Certificate(certificate=scope.on_host(pair.certificate), key=scope.on_host(pair.key))
        for pair in vhost.tls.certificates
    ]
    found = [pair for pair in pairs if known is None or (pair.certificate in known and pair.key in known)]
    return found or [placeholder(scope, vhost)]


def speaks_http3(scope: Scope, vhost: Vhost) -> bool:
    """True when *vhost* asks for HTTP/3 and this build has it."""
    return vhost.http3 and vhost.tls is not None and scope.build.has("http3")


def field_lines(scope: Scope, vhost: Vhost) -> list[Directive]:
    """The response fields that go with TLS, for every location of *vhost*.

    Over a plain connection nothing is said: RFC 6797, 7.2, and a value that is empty is no field.
    """
    lines = []
    if vhost.tls is not None and vhost.tls.hsts is not None:
        value: str | Expr = vhost.tls.hsts.field
        if any(not listen.tls for listen in vhost.listen):
            value = Expr(f"${variable('hsts', vhost.name)}")
        lines.append(directive("add_header", "Strict-Transport-Security", value, "always"))
    if speaks_http3(scope, vhost):
        port = next(listen.port for listen in vhost.listen if listen.tls)
        lines.append(directive("add_header", "Alt-Svc", f'h3=":{port}"; ma={ALT_SVC_AGE_S}', "always"))
    return lines


def maps(scope: Scope) -> list[Block]:
    """The ``map`` blocks that :func:`field_lines` needs."""
    return [
        block(
            "map",
            Expr("$https"),
            Expr(f"${variable('hsts', vhost.name)}"),
            body=[row("default", ""), row("on", vhost.tls.hsts.field)],
        )
        for vhost in scope.stack.vhosts.values()
        if vhost.tls and vhost.tls.hsts and any(not listen.tls for listen in vhost.listen)
    ]


def _loaded(scope: Scope, pair: Certificate) -> Iterable[Directive | Comment]:
    print_ = (scope.ground.certificates or {}).get(pair.certificate)
    if print_:
        # a renewed certificate is a changed configuration, or nobody would reload
        yield Comment(f"sha256 {print_}")
    yield directive("ssl_certificate", pair.certificate)
    yield directive("ssl_certificate_key", pair.key)
