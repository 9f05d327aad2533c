"""What a worker is told in the uwsgi protocol: the same as over HTTP, as variables of its environment.

A client's own fields are ``HTTP_*`` there, so what is written under that name replaces what it sent, and what is empty
is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx.directives import Directive, Expr, directive, seconds
from kirsch.nginx.fields import fields_file
from kirsch.nginx.headers import client_fields, proxy_file
from kirsch.nginx.scope import Scope
from kirsch.nginx.upstream import CONNECT_TIMEOUT_S
from kirsch.nginx.version import Build
from kirsch.spec import Pool, Stack, Vhost

SHARED_FILE = "uwsgi.conf"

# what is about the connection to nginx, and what nginx has done with the body already
_NOT_PASSED_ON = ("Connection", "Content-Length", "Content-Type", "Expect", "Keep-Alive", "TE", "Transfer-Encoding")
_REQUEST: dict[str, Expr | str] = {
    "QUERY_STRING": Expr("$query_string"),
    "REQUEST_METHOD": Expr("$request_method"),
    "CONTENT_TYPE": Expr("$content_type"),
    "CONTENT_LENGTH": Expr("$content_length"),
    # as it was sent, so that "%2F" stays "%2F": the worker makes PATH_INFO of it
    "REQUEST_URI": Expr("$request_uri"),
    "PATH_INFO": Expr("$document_uri"),
    "SCRIPT_NAME": "",
    "SERVER_NAME": Expr("$server_name"),
    "SERVER_PORT": Expr("$server_port"),
    # whatever the client speaks
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": Expr("$remote_addr"),
}


def uwsgi_file(vhost: Vhost) -> str:
    """The file to include: everybody's, or one of *vhost*'s own, as with ``proxy_file``."""
    return proxy_file(vhost).replace("proxy.conf", SHARED_FILE)


def shared_files(scope: Scope, vhost: Vhost, pool: Pool | None = None) -> list[Directive]:
    """What a worker of *pool* (None: somebody who speaks HTTP) is told, and what is added to the answer."""
    told = uwsgi_file(vhost) if pool is not None and pool.protocol == "uwsgi" else proxy_file(vhost)
    return [directive("include", told), directive("include", fields_file(scope, vhost))]


def is_spoken(stack: Stack, names: Iterable[str]) -> bool:
    """True when one of the apps called *names*, or what stands behind it, is reached by this protocol."""
    apps = [stack.apps[name] for name in names]
    behind = [stack.apps[other.app] for app in apps for other in (app.canary, app.mirror) if other]
    return any(stack.pools[app.pool].protocol == "uwsgi" for app in [*apps, *behind])


def uwsgi_settings(build: Build, vhost: Vhost | None = None) -> list[Directive]:
    """The content of :func:`uwsgi_file`."""
    fields = {**dict.fromkeys(_NOT_PASSED_ON, ""), **client_fields(build, vhost), "Connection": "", "Upgrade": ""}
    variables = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()}
    return [
        *[directive("uwsgi_param", name, value) for name, value in _REQUEST.items()],
        *[directive("uwsgi_param", name, value, "if_not_empty") for name, value in variables.items()],
        directive("uwsgi_hide_header", "X-Request-ID"),
        # as over HTTP, see `headers`
        directive("uwsgi_next_upstream", "error"),
        directive("uwsgi_next_upstream_timeout", "10s"),
        directive("uwsgi_connect_timeout", seconds(CONNECT_TIMEOUT_S)),
        directive("uwsgi_buffer_size", "16k"),
        directive("uwsgi_buffers", "8", "16k"),
        directive("uwsgi_max_temp_file_size", "128m"),
    ]
