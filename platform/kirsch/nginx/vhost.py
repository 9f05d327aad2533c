"""A vhost as nginx sees it: a server that serves its apps, and the servers that send people there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kirsch.nginx import compress
from kirsch.nginx.acme import challenge_location
from kirsch.nginx.directives import Block, Directive, Node, block, directive, size
from kirsch.nginx.fields import SHARED_FILE, fields_file
from kirsch.nginx.forwarded import believed
from kirsch.nginx.guards import guards
from kirsch.nginx.hosts import hosts_location
from kirsch.nginx.locations import app_locations, hidden_locations
from kirsch.nginx.names import listeners, redirect_servers, served_on
from kirsch.nginx.scope import Scope
from kirsch.nginx.tls import vhost_settings
from kirsch.spec import HostPaths, Vhost

PAGES_PREFIX = "/.kirsch/pages/"
OWN_PREFIX = f"{PAGES_PREFIX}own/"
PAGES_FILE = "pages.conf"
ERROR_PAGES = (404, 502, 503, 504)


def servers(scope: Scope, vhost: Vhost, defaults: dict[str, str]) -> list[Node]:
    """All servers of *vhost*; *defaults* is what :func:`~kirsch.nginx.names.catch_alls` says."""
    return [_server(scope, vhost, defaults), *redirect_servers(scope, vhost, defaults)]


def page_locations(
    paths: HostPaths, fields: str = SHARED_FILE, retry_after_s: int = 5, own: Mapping[str, str] | None = None
) -> list[Block]:
    """Where the error pages are, also a vhost's *own* (status to file); requests from outside get a 404 there."""
    folder = f"{paths.nginx_current}/pages"
    # whom the site is closed to still sees why: the page itself is for everybody
    shared = (directive("include", fields), directive("auth_basic", "off"), directive("allow", "all"))
    # our own pages show the request's id, which a visitor can quote
    with_id = directive("ssi", "on")
    # `alias` for a location that ends in a slash ends in a slash too: else "/.kirsch/pages../" would leave the folder
    owns = [
        block(
            "location",
            "=",
            f"{OWN_PREFIX}{status}",
            # the release's own file, through a link: another release is no other configuration
            body=[
                directive("internal"),
                directive("alias", f"{paths.current}/{file}"),
                directive("default_type", "text/html"),
                *shared,
            ],
        )
        for status, file in (own or {}).items()
    ]
    return [
        *owns,
        block(
            "location",
            "=",
            f"{PAGES_PREFIX}404.html",
            body=[directive("internal"), directive("alias", f"{folder}/404.html"), *shared, with_id],
        ),
        block(
            "location",
            "^~",
            PAGES_PREFIX,
            body=[
                directive("internal"),
                directive("alias", f"{folder}/"),
                *shared,
                with_id,
                directive("add_header", "Cache-Control", "no-store", "always"),
                directive("add_header", "Retry-After", str(retry_after_s), "always"),
            ],
        ),
    ]


def pages_file(scope: Scope, vhost: Vhost) -> str:
    """The file with the locations of error pages: everybody's, or one of *vhost*'s own."""
    has_own = fields_file(scope, vhost) != SHARED_FILE or vhost.maintenance or vhost.error_pages
    return PAGES_FILE if not has_own else f"vhosts/{vhost.name}.pages.conf"


def _server(scope: Scope, vhost: Vhost, defaults: dict[str, str]) -> Block:
    listens = served_on(vhost)
    body: list[Node] = [*listeners(scope, vhost, listens, defaults)]
    if vhost.names:
        body.append(directive("server_name", *vhost.served_names))
    body += vhost_settings(scope, vhost)
    body += believed(vhost, listens)
    body.append(directive("client_max_body_size", size(vhost.max_body)))
    body += compress.vhost_settings(scope.build, compress=vhost.compress)
    body += guards(scope, vhost, vhost.name)
    body += _error_pages(vhost)
    body.append(directive("include", fields_file(scope, vhost)))
    body.append(directive("include", pages_file(scope, vhost)))
    body += challenge_location(scope, vhost, listens)
    body += _locations(scope, vhost)
    return block("server", body=body)


def _error_pages(vhost: Vhost) -> Iterable[Directive]:
    for status in ERROR_PAGES:
        page = "maintenance" if vhost.maintenance and status == 503 else str(status)
        if str(status) not in vhost.error_pages:
            yield directive("error_page", status, f"{PAGES_PREFIX}{page}.html")
    for own in vhost.error_pages:
        yield directive("error_page", own, f"{OWN_PREFIX}{own}")


def _locations(scope: Scope, vhost: Vhost) -> Iterable[Block]:
    yield from hidden_locations(scope)
    apps = [scope.stack.apps[name] for name in dict.fromkeys(vhost.apps)]
    if vhost.maintenance and not vhost.maintenance.bypass:
        yield block("location", "/", body=[directive("return", 503)])
        return
    if vhost.upstream is not None:
        yield hosts_location(scope, vhost, scope.stack.upstreams[vhost.upstream])
        return
    for app in sorted(apps, key=lambda app: app.mount):
        yield from app_locations(scope, vhost, app)
    if not any(app.mount == "/" for app in apps):
        yield block("location", "/", body=[directive("internal")])
