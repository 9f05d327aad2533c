"""What the stack asks for and the nginx of this machine cannot do: what is done instead is never left unsaid."""

from __future__ import annotations

from collections.abc import Iterator

from kirsch.check.case import Case
from kirsch.check.finding import Finding, Place, Severity
from kirsch.nginx.binary import Nginx
from kirsch.spec import Stack, Vhost

REFUSED = frozenset({"K421", "K422"})
"""Codes of what is done no other way."""

COMPRESSIONS = ("gzip", "brotli", "zstd")


def check_build(case: Case) -> Iterator[Finding]:
    """One finding for each thing that is asked for and not there; none where nobody has looked at the binary."""
    if case.nginx is not None:
        yield from lacks(case.stack, case.file, case.nginx)


def lacks(stack: Stack, file: str, nginx: Nginx) -> Iterator[Finding]:
    """What *nginx* cannot do of what *stack*, written in *file*, asks for."""
    says = _Says(file, nginx)
    for vhost in stack.vhosts.values():
        yield from _tls_lacks(vhost, says)
        if not nginx.build.has("realip") and (vhost.trusted_proxies or any(listen.proxy for listen in vhost.listen)):
            yield says.lack(
                "K422",
                "error",
                "who the client is cannot be learnt from a proxy",
                f"vhost.{vhost.name}.trusted_proxies",
                "nothing: nginx refuses the configuration",
                "an nginx with --with-http_realip_module",
            )
    yield from _compression_lacks(stack, says)


class _Says:
    """How a lack is told: with the binary that has it."""

    def __init__(self, file: str, nginx: Nginx) -> None:
        self.file = file
        self.nginx = nginx

    def lack(self, code: str, severity: Severity, title: str, key: str, instead: str, cure: str) -> Finding:
        """One finding; *instead* is what is used in place of what was asked for."""
        why = f"nginx {self.nginx.version_text} ({self.nginx.path}) lacks it; used instead: {instead}"
        return Finding(code, severity, title, Place(self.file, key), None, why, cure)


def _tls_lacks(vhost: Vhost, says: _Says) -> Iterator[Finding]:
    if vhost.tls is None:
        return
    build = says.nginx.build
    key = f"vhost.{vhost.name}"
    if not build.has("ssl"):
        cure = "an nginx with --with-http_ssl_module"
        yield says.lack("K421", "error", "TLS is not there", f"{key}.tls", "nothing: nginx refuses it", cure)
        return
    speaks_http2 = vhost.http2 and build.has("http2")
    if vhost.http3 and not build.has("http3"):
        yield says.lack(
            "K401",
            "warning",
            "HTTP/3 is not there",
            f"{key}.http3",
            "HTTP/2" if speaks_http2 else "HTTP/1.1",
            "nginx 1.25 or newer with --with-http_v3_module, or leave http3 out",
        )
    if vhost.http2 and not build.has("http2"):
        cure = "an nginx with --with-http_v2_module, or http2 = false"
        yield says.lack("K402", "note", "HTTP/2 is not there", f"{key}.http2", "HTTP/1.1", cure)
    if vhost.tls.tickets and not build.has("ticket rotation"):
        yield says.lack(
            "K403",
            "warning",
            "session tickets stay off",
            f"{key}.tls.tickets",
            "sessions in nginx's own memory: one key for all tickets until the next reload would be no secret for long",
            "nginx 1.23.2 or newer, or leave tickets out",
        )


def _compression_lacks(stack: Stack, says: _Says) -> Iterator[Finding]:
    asking = [vhost for vhost in stack.vhosts.values() if vhost.compress]
    if not asking:
        return
    there = [name for name in COMPRESSIONS if says.nginx.build.has(name)]
    key = f"vhost.{asking[0].name}.compress"
    if not there:
        cure = "an nginx with its gzip module, or compress = false"
        yield says.lack("K411", "warning", "nothing is compressed", key, "answers as they are", cure)
    for words in says.nginx.unloadable:
        yield Finding(
            "K412",
            "warning",
            "a module for compression cannot be loaded",
            Place(says.file, key),
            None,
            f"{words}; used instead: {' and '.join(there) or 'answers as they are'}",
            "the module of this version of nginx, from where nginx is from; or remove it",
        )
