"""A whole stack as nginx sees it: every file of one generation, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from kirsch.errors import Problem, SpecError
from kirsch.nginx import accel, assets, caching, canary, compress, fields, forwarded, guards, headers, hosts, tls, uwsgi
from kirsch.nginx.directives import Block, Comment, Directive, Expr, Node, block, directive, render, row, seconds
from kirsch.nginx.headers import proxy_file, proxy_settings
from kirsch.nginx.names import catch_alls, closing_servers
from kirsch.nginx.pages import load_pages
from kirsch.nginx.scope import Ground, Scope
from kirsch.nginx.upstream import upstream
from kirsch.nginx.version import Build, Version, loaded
from kirsch.nginx.vhost import PAGES_FILE, page_locations, pages_file, servers
from kirsch.spec import HostPaths, Stack, Vhost

MAIN_FILE = "nginx.conf"
GENERATION_FILE = "generation"
MARKER_FILE = "marker.conf"
MARKER_PATH = "/generation"
STATUS_PATH = "/stub_status"
GENERATION_FILES = frozenset({GENERATION_FILE, MARKER_FILE})
"""The files that differ between two generations of the same content."""

TEMP_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
DEFAULT_OPEN_FILES = 1024

# one JSON object a line; the upstream fields are lists when a request was tried more than once ("a, b")
LOG_FIELDS = {
    "time": "$time_iso8601",
    "msec": "$msec",
    "id": "$request_id",
    "client": "$remote_addr",
    "vhost": "$server_name",
    "host": "$host",
    "method": "$kirsch_method",
    "uri": "$request_uri",
    "protocol": "$server_protocol",
    "status": "$status",
    "request_bytes": "$request_length",
    "body_bytes": "$body_bytes_sent",
    "duration_s": "$request_time",
    "upstream": "$upstream_addr",
    "upstream_status": "$upstream_status",
    "connect_s": "$upstream_connect_time",
    "header_s": "$upstream_header_time",
    "response_s": "$upstream_response_time",
    "worker": "$upstream_http_x_kirsch_worker",
    "cache": "$upstream_cache_status",
    "connection": "$connection",
    "port": "$server_port",
    "line": "$kirsch_bad_line",
    "referer": "$http_referer",
    "agent": "$http_user_agent",
}


def render_site(
    stack: Stack,
    paths: HostPaths,
    version: Version,
    *,
    generation: str,
    user: str | None = None,
    modules: Collection[str] = (),
    loads: Collection[str] = (),
    processes: int | str = "auto",
    open_files: int = DEFAULT_OPEN_FILES,
    pages: Mapping[str, str] | None = None,
    ground: Ground | None = None,
) -> dict[str, str]:
    """The files of one generation: ``{"nginx.conf": …, "upstreams.conf": …, "vhosts/main.conf": …, …}``.

    *version*, *modules* and *loads* are the binary's (attributes of ``Nginx``; a file is loaded only where a vhost
    compresses), *generation* is what the marker answers, *user* is who nginx's workers run as, ``name`` or
    ``name:group`` (root only), *open_files* is what one of its processes may have open, *ground* is what a look at the
    host found (``survey``).

    Raises:
        SpecError: a value cannot be written as nginx text, or the build lacks what the stack asks for.
    """
    if not any(vhost.compress for vhost in stack.vhosts.values()):
        loads = ()  # all that can be loaded compresses
    build = Build(version, frozenset(modules) | loaded(loads))
    scope = Scope(stack, paths, build, ground or Ground())
    defaults = catch_alls(stack)
    vhosts = {f"vhosts/{name}.conf": servers(scope, vhost, defaults) for name, vhost in stack.vhosts.items()}
    files: dict[str, list[Node]] = {
        MAIN_FILE: [
            *[directive("load_module", file) for file in loads],
            *_main(scope, user, processes, open_files, list(vhosts)),
        ],
        headers.SHARED_FILE: [*proxy_settings(build)],
        fields.SHARED_FILE: [*fields.shared_lines()],
        PAGES_FILE: [*page_locations(paths)],
        "upstreams.conf": [*_upstreams(scope)],
        "closing.conf": [*closing_servers(scope, defaults)],
        MARKER_FILE: [_marker(scope, generation)],
        **vhosts,
    }
    if uwsgi.is_spoken(stack, stack.apps):
        files[uwsgi.SHARED_FILE] = [*uwsgi.uwsgi_settings(build)]
    for vhost in stack.vhosts.values():
        files |= _own_files(scope, vhost)
    head = Comment(f"Stack {stack.name}, written by kirsch; changes made here are lost. {paths.nginx_current}")
    texts = {name: render([head, *nodes]) for name, nodes in files.items()}
    texts |= guards.password_files(scope)
    texts[GENERATION_FILE] = f"{generation}\n"
    for name, text in (load_pages() if pages is None else pages).items():
        texts[f"pages/{name}"] = text
    return texts


def _upstreams(scope: Scope) -> Iterator[Block]:
    for pool in scope.stack.pools.values():
        if pool.protocol == "uwsgi" and not scope.build.has("uwsgi"):
            key = f"pool.{pool.name}.protocol"
            allowed = '"http", or an nginx that is built with http_uwsgi'
            raise SpecError([Problem(file="", key=key, given='"uwsgi"', allowed=allowed)])
        yield upstream(pool, scope.paths)
    for group in scope.stack.upstreams.values():
        if (found := hosts.upstream(scope, group)) is not None:
            yield found


def vhost_files(name: str) -> tuple[str, ...]:
    """The names that the own files of the vhost *name* may have in a generation."""
    return tuple(f"vhosts/{name}{kind}.conf" for kind in ("", ".proxy", ".uwsgi", ".fields", ".pages"))


def _own_files(scope: Scope, vhost: Vhost) -> dict[str, list[Node]]:
    """What *vhost*'s locations include, where everybody's files do not do."""
    found: dict[str, list[Node]] = {}
    if (name := proxy_file(vhost)) != headers.SHARED_FILE:
        behind = scope.stack.upstreams[vhost.upstream] if vhost.upstream else None
        found[name] = [*proxy_settings(scope.build, vhost, behind)]
        if uwsgi.is_spoken(scope.stack, vhost.apps):
            found[uwsgi.uwsgi_file(vhost)] = [*uwsgi.uwsgi_settings(scope.build, vhost)]
    if (name := fields.fields_file(scope, vhost)) != fields.SHARED_FILE:
        found[name] = [*fields.field_lines(scope, vhost)]
    if (name := pages_file(scope, vhost)) != PAGES_FILE:
        retry_after_s = vhost.maintenance.retry_after_s if vhost.maintenance else 5
        included = fields.fields_file(scope, vhost)
        found[name] = [*page_locations(scope.paths, included, retry_after_s, vhost.error_pages)]
    return found


def _main(scope: Scope, user: str | None, processes: int | str, open_files: int, vhosts: list[str]) -> list[Node]:
    stack, paths = scope.stack, scope.paths
    longest = max((pool.request_deadline_s for pool in stack.pools.values()), default=60.0)
    return [
        *([directive("user", *user.split(":", 1))] if user else []),
        directive("daemon", "on"),
        directive("worker_processes", processes),
        directive("worker_rlimit_nofile", open_files),
        # old processes of a reload: long enough for the longest request, short enough that WebSockets do not keep them
        directive("worker_shutdown_timeout", seconds(longest + 30)),
        directive("pid", paths.nginx_pid),
        directive("error_log", paths.nginx_error_log, "warn"),
        # a proxied request takes two descriptors; the rest is for logs, listeners and spooled bodies
        block("events", body=[directive("worker_connections", max(64, open_files // 2))]),
        block("http", body=_http(scope, vhosts)),
    ]


def _http(scope: Scope, vhosts: list[str]) -> list[Directive | Block]:
    includes = ["upstreams.conf", MARKER_FILE, "closing.conf", *vhosts]
    return [
        assets.types(),
        *_names_hash(scope.stack),
        *_temp_paths(scope.paths, scope.build),
        *headers.maps(scope.build),
        *forwarded.maps(scope),
        *tls.maps(scope),
        *fields.maps(scope),
        *guards.maps(scope),
        *canary.maps(scope),
        *accel.maps(scope),
        *hosts.maps(scope),
        *guards.zones(scope),
        *caching.shared_settings(scope),
        *compress.shared_settings(scope.build),
        *_log(scope),
        *_client_limits(scope.build),
        *(tls.shared_settings() if any(vhost.tls for vhost in scope.stack.vhosts.values()) else []),
        *[directive("include", name) for name in includes],
    ]


def _names_hash(stack: Stack) -> list[Directive]:
    """Room for every server name, so that nginx neither refuses nor warns."""
    names = [name for vhost in stack.vhosts.values() for name in vhost.all_names]
    bucket = _power_of_two(max([len(name) for name in names], default=0) + 32, at_least=128)
    return [
        directive("server_names_hash_bucket_size", bucket),
        directive("server_names_hash_max_size", _power_of_two(4 * len(names), at_least=1024)),
        directive("proxy_headers_hash_bucket_size", 128),
        directive("proxy_headers_hash_max_size", 2048),
    ]


def _temp_paths(paths: HostPaths, build: Build) -> list[Directive]:
    """All of them, also those of protocols that are not spoken: nginx makes each folder when it starts."""
    return [
        directive(f"{name}_temp_path", f"{paths.nginx}/temp/{name}")
        for name in TEMP_FOLDERS
        if name in ("client_body", "proxy") or build.has(name)
    ]


def _log(scope: Scope) -> list[Directive | Block]:
    shown = LOG_FIELDS | ({"tls": "$ssl_protocol"} if scope.build.has("ssl") else {})
    fields = [Expr(f'"{name}":"{variable}"') for name, variable in shown.items()]
    pieces = [Expr("{"), *[Expr(f"{field.text},") for field in fields[:-1]], fields[-1], Expr("}")]
    bad = Expr("$request")
    return [
        # what could not be read as a request has no method and no path, only the line itself
        block("map", Expr("$status"), Expr("$kirsch_bad_line"), body=[row("default", ""), row("400", bad)]),
        directive("log_format", "kirsch", "escape=json", *pieces),
        directive("access_log", scope.paths.nginx_access_log, "kirsch", "buffer=64k", "flush=1s"),
        *_traffic(scope),
    ]


def _traffic(scope: Scope) -> list[Directive]:
    """The same lines to the supervisor, which counts: a datagram each, dropped by nginx where nobody takes it."""
    if not scope.ground.has_traffic:
        return []
    return [directive("access_log", f"syslog:server=unix:{scope.paths.traffic_socket},nohostname,tag=kirsch", "kirsch")]


def _client_limits(build: Build) -> list[Directive]:
    return [
        directive("server_tokens", "off"),
        directive("sendfile", "on"),
        # the link to the current release is looked at again after so long
        directive("open_file_cache", "max=1000", "inactive=20s"),
        directive("open_file_cache_valid", "2s"),
        directive("tcp_nopush", "on"),
        directive("tcp_nodelay", "on"),
        directive("charset", "utf-8"),
        # the path decides about the app once, here and in the worker: neither may see another one than the other
        directive("merge_slashes", "off"),
        directive("absolute_redirect", "off"),
        # SECURITY: WSGI cannot tell X_Real_IP from X-Real-IP
        directive("underscores_in_headers", "off"),
        directive("ignore_invalid_headers", "on"),
        directive("large_client_header_buffers", "4", "16k"),
        directive("client_header_timeout", "15s"),
        directive("client_body_timeout", "30s"),
        directive("send_timeout", "60s"),
        directive("keepalive_timeout", "65s"),
        *([directive("keepalive_min_timeout", "5s")] if build.has("keepalive_min_timeout") else []),
    ]


def _marker(scope: Scope, generation: str) -> Block:
    """Where a new connection learns which generation serves it, which of nginx's processes, and what nginx counts."""
    counts = block("location", "=", STATUS_PATH, body=[directive("stub_status")])
    return block(
        "server",
        body=[
            directive("listen", f"unix:{scope.paths.nginx_marker}"),
            # what is counted there is told here, so that the difference is what was dropped
            *(_traffic(scope) or [directive("access_log", "off")]),
            directive("default_type", "text/plain"),
            block(
                "location",
                "=",
                MARKER_PATH,
                body=[
                    directive("add_header", "X-Kirsch-Nginx-Pid", Expr("$pid")),
                    directive("return", 200, generation),
                ],
            ),
            *([counts] if scope.build.has("stub_status") else []),
            block("location", "/", body=[directive("return", 404)]),
        ],
    )


def _power_of_two(number: int, *, at_least: int) -> int:
    return max(at_least, 1 << max(0, number - 1).bit_length())
