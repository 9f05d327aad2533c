"""A vhost as nginx sees it: a server, its addresses, and one location for each way into an app."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx.directives import Block, Directive, block, directive, size
from kirsch.nginx.upstream import pass_to
from kirsch.nginx.version import Build
from kirsch.spec import App, HostPaths, Listen, Stack, Tls, Vhost

BACKLOG = 4096
"""Connections that may wait for nginx; the kernel cuts it to net.core.somaxconn."""

PAGES_PREFIX = "/.kirsch/pages/"
ERROR_PAGES = (404, 502, 503, 504)


def catch_alls(stack: Stack) -> dict[str, str]:
    """Which vhost takes the requests that no name matches: endpoint to vhost name."""
    return {
        listen.endpoint: vhost.name for vhost in stack.vhosts.values() if not vhost.names for listen in vhost.listen
    }


def server(stack: Stack, vhost: Vhost, paths: HostPaths, build: Build, defaults: dict[str, str]) -> Block:
    """The ``server`` block of *vhost*; *defaults* is what :func:`catch_alls` says."""
    body: list[Directive | Block] = []
    for listen in vhost.listen:
        is_default = defaults.get(listen.endpoint) == vhost.name
        body.append(_listen(listen, build, is_default=is_default))
    if vhost.names:
        body.append(directive("server_name", *vhost.names))
    if vhost.tls is not None:
        body += _tls(vhost.tls, paths, build)
    body.append(directive("client_max_body_size", size(vhost.max_body)))
    body += _error_pages(vhost)
    body.append(directive("include", "pages.conf"))
    body += _locations(stack, vhost)
    return block("server", body=body)


def closing_servers(stack: Stack, build: Build, defaults: dict[str, str]) -> list[Block]:
    """What answers a name that nobody has: nothing.

    One server for each address without a vhost that takes every name.
    """
    endpoints = {listen.endpoint: listen for vhost in stack.vhosts.values() for listen in vhost.listen}
    closing = []
    for endpoint, listen in endpoints.items():
        if endpoint in defaults:
            continue
        body = [_listen(listen, build, is_default=True)]
        body += [directive("ssl_reject_handshake", "on")] if listen.tls else []
        closing.append(block("server", body=[*body, directive("return", 444)]))
    return closing


def page_locations(paths: HostPaths) -> list[Block]:
    """Where the error pages are; requests from outside get a 404 there."""
    folder = f"{paths.nginx_current}/pages"
    # `alias` for a location that ends in a slash ends in a slash too: else "/.kirsch/pages../" would leave the folder
    return [
        block(
            "location",
            "=",
            f"{PAGES_PREFIX}404.html",
            body=[directive("internal"), directive("alias", f"{folder}/404.html")],
        ),
        block(
            "location",
            "^~",
            PAGES_PREFIX,
            body=[
                directive("internal"),
                directive("alias", f"{folder}/"),
                directive("add_header", "Cache-Control", "no-store", "always"),
                directive("add_header", "Retry-After", "5", "always"),
            ],
        ),
    ]


def _listen(listen: Listen, build: Build, *, is_default: bool) -> Directive:
    words = ["ssl"] if listen.tls else []
    if listen.tls and build.has("http2") and not build.has("http2 directive"):
        words.append("http2")
    if is_default:
        # socket options may stand only once for an address
        words += ["default_server", f"backlog={BACKLOG}"]
    return directive("listen", listen.endpoint, *words)


def _tls(tls: Tls, paths: HostPaths, build: Build) -> list[Directive]:
    lines = [directive("http2", "on")] if build.has("http2 directive") else []
    for name, file in (("ssl_certificate", tls.certificate), ("ssl_certificate_key", tls.key)):
        lines.append(directive(name, file if file.startswith("/") else f"{paths.root}/{file}"))
    return lines


def _error_pages(vhost: Vhost) -> Iterable[Directive]:
    for status in ERROR_PAGES:
        page = "maintenance" if vhost.maintenance and status == 503 else str(status)
        yield directive("error_page", status, f"{PAGES_PREFIX}{page}.html")


def _locations(stack: Stack, vhost: Vhost) -> Iterable[Block]:
    # the probes are the supervisor's and the balancer's; from outside they tell too much
    for path in dict.fromkeys((stack.health.live.path, stack.health.ready.path)):
        yield block("location", "=", path, body=[directive("return", 404)])
    apps = [stack.apps[name] for name in dict.fromkeys(vhost.apps)]
    if vhost.maintenance:
        yield block("location", "/", body=[directive("return", 503)])
        return
    for app in sorted(apps, key=lambda app: app.mount):
        yield from _app_locations(stack, app)
    if not any(app.mount == "/" for app in apps):
        yield block("location", "/", body=[directive("return", 404)])


def _app_locations(stack: Stack, app: App) -> Iterable[Block]:
    """``/legacy`` itself and all below it, but not ``/legacyfoo``, which is another app's."""
    pool = stack.pools[app.pool]
    if app.mount == "/":
        yield block("location", "/", body=pass_to(pool))
        return
    yield block("location", "=", app.mount, body=pass_to(pool))
    yield block("location", f"{app.mount}/", body=pass_to(pool))
