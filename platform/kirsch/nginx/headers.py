"""What the edge tells a worker about a request, and what it lets nobody else tell it.

Every location takes the whole set from one file, ``proxy.conf``: one ``proxy_set_header`` of its own would make a
location forget all that stand above it. Nothing is appended to what a client sent, everything is replaced or cleared.
"""

from __future__ import annotations

from kirsch.nginx.directives import Block, Directive, Expr, block, directive, row, seconds
from kirsch.nginx.forwarded import client_scheme, is_behind_http
from kirsch.nginx.upstream import CONNECT_TIMEOUT_S
from kirsch.nginx.version import Build
from kirsch.spec import Upstream, Vhost
from kirsch.spec.accel import ACCEL_FIELD

SHARED_FILE = "proxy.conf"

# SECURITY: fields that frameworks and proxies believe, and that only a client could have sent at the edge. An empty
# value takes the field out of the request. `Proxy` is httpoxy (CVE-2016-5385).
CLEARED = (
    "Forwarded",
    "Proxy",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Protocol",
    "X-Forwarded-User",
    "Front-End-Https",
    "X-Url-Scheme",
    "X-Arr-Ssl",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-Host",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "X-Script-Name",
    "X-Not-Dispatched",
    "X-Kirsch-Probe",
)


def maps(build: Build) -> list[Block]:
    """The ``map`` blocks that :func:`proxy_settings` and the access log need."""
    found = [
        # an upgrade to anything but a WebSocket stays out: `Upgrade: h2c` would tunnel past every rule here
        block(
            "map",
            Expr("$http_upgrade"),
            Expr("$kirsch_upgrade"),
            body=[row("default", ""), row("websocket", "websocket")],
        ),
        # empty for plain requests, which keeps the connection to the worker open
        block(
            "map",
            Expr("$kirsch_upgrade"),
            Expr("$kirsch_connection"),
            body=[row("default", ""), row("websocket", "upgrade")],
        ),
    ]
    # $request_method is GET once an error page stands in for the answer: a lost POST would be logged as a GET
    method = row(Expr("~^(?<kirsch_verb>[A-Z]+) "), Expr("$kirsch_verb"))
    found.append(
        block(
            "map",
            Expr("$request"),
            Expr("$kirsch_method"),
            body=[row("default", Expr("$request_method")), method],
        )
    )
    # the port that the client knows: nginx's own one may be mapped to another
    rows = [row(Expr(r"~^:(?<kirsch_asked_port>[0-9]+)"), Expr("$kirsch_asked_port"))]
    rows += [row("default", "80"), row("https", "443")]
    written = Expr(f"{public_port(build)}$scheme")
    found.append(block("map", written, Expr("$kirsch_client_port"), body=rows))
    # empty but where a location says otherwise, see `accel`
    found.append(block("map", "", Expr("$kirsch_files"), body=[row("default", "")]))
    found += _trace_maps()
    if not build.has("$request_port"):
        port = row(Expr(r"~:(?<kirsch_port>[0-9]{1,5})$"), Expr(":$kirsch_port"))
        found.append(block("map", Expr("$http_host"), Expr("$kirsch_host_port"), body=[row("default", ""), port]))
    return found


def _trace_maps() -> list[Block]:
    """The caller's trace if it is one, else one that begins here: its id is the request's.

    Source: W3C Trace Context, 3.2 (version 00; ids of zeros alone are none).
    """
    own = row(Expr("~^(?<kirsch_span>.{16})"), Expr("00-$request_id-$kirsch_span-01"))
    nobody = Expr("~^00-(0{32}-|[0-9a-f]{32}-0{16}-)")
    valid = Expr("~^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
    new, sent = Expr("$kirsch_new_trace"), Expr("$http_traceparent")
    trace = [row("default", new), row(nobody, new), row(valid, sent)]
    # what belongs to a trace that was refused is refused with it
    state = [row("default", ""), row(nobody, ""), row(valid, Expr("$http_tracestate"))]
    return [
        block("map", Expr("$request_id"), new, body=[row("default", ""), own]),
        block("map", sent, Expr("$kirsch_traceparent"), body=trace),
        block("map", sent, Expr("$kirsch_tracestate"), body=state),
    ]


def public_host(build: Build) -> Expr:
    """The host that the client asked for, checked by nginx, with the port that the client wrote.

    ``$http_host`` would be the raw field (and may differ from the vhost that was chosen), ``$host`` alone has no port.
    """
    return Expr(f"$host{public_port(build)}")


def public_port(build: Build) -> str:
    """The port that the client wrote, with its colon; empty when it wrote none."""
    return "$is_request_port$request_port" if build.has("$request_port") else "$kirsch_host_port"


def proxy_file(vhost: Vhost) -> str:
    """The file to include: everybody's, or one of *vhost*'s own: for a proxy before nginx, or hosts behind it."""
    has_own = is_behind_http(vhost) or vhost.upstream is not None
    return f"vhosts/{vhost.name}.proxy.conf" if has_own else SHARED_FILE


def client_fields(build: Build, vhost: Vhost | None = None) -> dict[str, Expr | str]:
    """What everybody behind nginx is told of a request; empty fields are taken out of it."""
    host = public_host(build)
    # what a proxy says of the client's scheme is known; of the port nginx sees its own only, and Host has the client's
    is_behind = vhost is not None and is_behind_http(vhost)
    return {
        "Host": host,
        "Connection": Expr("$kirsch_connection"),
        "Upgrade": Expr("$kirsch_upgrade"),
        "X-Forwarded-For": Expr("$remote_addr"),
        "X-Forwarded-Proto": Expr(client_scheme(vhost) if vhost else "$scheme"),
        "X-Forwarded-Host": host,
        "X-Forwarded-Port": "" if is_behind else Expr("$kirsch_client_port"),
        "X-Real-IP": Expr("$remote_addr"),
        "X-Request-ID": Expr("$request_id"),
        "X-Request-Start": Expr("t=${msec}"),
        "traceparent": Expr("$kirsch_traceparent"),
        "tracestate": Expr("$kirsch_tracestate"),
        ACCEL_FIELD: Expr("$kirsch_files"),
        **dict.fromkeys(CLEARED, ""),
    }


def proxy_settings(build: Build, vhost: Vhost | None = None, hosts: Upstream | None = None) -> list[Directive]:
    """The content of ``proxy.conf``, or of the file that *vhost* has instead; *hosts* are those that it hands on to."""
    return [
        directive("proxy_http_version", "1.1"),
        *[directive("proxy_set_header", name, value) for name, value in client_fields(build, vhost).items()],
        directive("proxy_hide_header", "X-Request-ID"),
        # a refused connect is tried on the next slot for every method, nothing was sent; what was sent is tried again
        # only for methods that may be repeated. Not `timeout`: slow requests would run twice, exactly when all is slow.
        # A host may be gone without a word; then it is the connect that times out, long before an answer could.
        directive("proxy_next_upstream", "error", *(["timeout"] if hosts else [])),
        directive("proxy_next_upstream_timeout", seconds(hosts.search_s if hosts else 10)),
        directive("proxy_connect_timeout", seconds(hosts.connect_timeout_s if hosts else CONNECT_TIMEOUT_S)),
        directive("proxy_redirect", "off"),
        directive("proxy_buffer_size", "16k"),
        directive("proxy_buffers", "8", "16k"),
        directive("proxy_max_temp_file_size", "128m"),
    ]
