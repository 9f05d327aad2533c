"""A vhost as nginx sees it: a server that serves its apps, and the servers that send people there."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx.acme import challenge_location
from kirsch.nginx.directives import Block, Directive, Node, block, directive, size
from kirsch.nginx.fields import SHARED_FILE, fields_file
from kirsch.nginx.forwarded import believed
from kirsch.nginx.locations import app_locations, hidden_locations
from kirsch.nginx.names import listeners, redirect_servers, served_on
from kirsch.nginx.scope import Scope
from kirsch.nginx.tls import vhost_settings
from kirsch.spec import HostPaths, Vhost

PAGES_PREFIX = "/.kirsch/pages/"
PAGES_FILE = "pages.conf"
ERROR_PAGES = (404, 502, 503, 504)


def servers(scope: Scope, vhost: Vhost, defaults: dict[str, str]) -> list[Node]:
    """All servers of *vhost*; *defaults* is what :func:`~kirsch.nginx.names.catch_alls` says."""
    return [_server(scope, vhost, defaults), *redirect_servers(scope, vhost, defaults)]


def page_locations(paths: HostPaths, fields: str = SHARED_FILE) -> list[Block]:
    """Where the error pages are; requests from outside get a 404 there."""
    folder = f"{paths.nginx_current}/pages"
    shared = directive("include", fields)
    # `alias` for a location that ends in a slash ends in a slash too: else "/.kirsch/pages../" would leave the folder
    return [
        block(
            "location",
            "=",
            f"{PAGES_PREFIX}404.html",
            body=[directive("internal"), directive("alias", f"{folder}/404.html"), shared],
        ),
        block(
            "location",
            "^~",
            PAGES_PREFIX,
            body=[
                directive("internal"),
                directive("alias", f"{folder}/"),
                shared,
                directive("add_header", "Cache-Control", "no-store", "always"),
                directive("add_header", "Retry-After", "5", "always"),
            ],
        ),
    ]


def pages_file(scope: Scope, vhost: Vhost) -> str:
    """The file with the locations of error pages: everybody's, or one of *vhost*'s own."""
    return PAGES_FILE if fields_file(scope, vhost) == SHARED_FILE else f"vhosts/{vhost.name}.pages.conf"


def _server(scope: Scope, vhost: Vhost, defaults: dict[str, str]) -> Block:
    listens = served_on(vhost)
    body: list[Node] = [*listeners(scope, vhost, listens, defaults)]
    if vhost.names:
        body.append(directive("server_name", *vhost.served_names))
    body += vhost_settings(scope, vhost)
    body += believed(vhost, listens)
    body.append(directive("client_max_body_size", size(vhost.max_body)))
    body += _error_pages(vhost)
    body.append(directive("include", fields_file(scope, vhost)))
    body.append(directive("include", pages_file(scope, vhost)))
    body += challenge_location(scope, vhost, listens)
    body += _locations(scope, vhost)
    return block("server", body=body)


def _error_pages(vhost: Vhost) -> Iterable[Directive]:
    for status in ERROR_PAGES:
        page = "maintenance" if vhost.maintenance and status == 503 else str(status)
        yield directive("error_page", status, f"{PAGES_PREFIX}{page}.html")


def _locations(scope: Scope, vhost: Vhost) -> Iterable[Block]:
    yield from hidden_locations(scope)
    apps = [scope.stack.apps[name] for name in dict.fromkeys(vhost.apps)]
    if vhost.maintenance:
        yield block("location", "/", body=[directive("return", 503)])
        return
    for app in sorted(apps, key=lambda app: app.mount):
        yield from app_locations(scope, vhost, app)
    if not any(app.mount == "/" for app in apps):
        yield block("location", "/", body=[directive("return", 404)])
