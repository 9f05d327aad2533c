"""The keys of the namespace ``server``: defaults, what they become, and what is refused."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from cherrypy.app.server import Server
from cherrypy.app.server_settings import RULES, number
from cherrypy.app.wsgi_server import BOUNDLESS, CPWSGIServer

DEFAULTS = {
    "socket_host": "127.0.0.1",
    "socket_port": 8080,
    "socket_file": None,
    "socket_queue_size": 5,
    "socket_timeout": 10,
    "accepted_queue_size": -1,
    "accepted_queue_timeout": 10,
    "shutdown_timeout": 5,
    "protocol_version": "HTTP/1.1",
    "thread_pool": 10,
    "thread_pool_max": -1,
    "max_request_header_size": 512000,
    "max_request_body_size": 104857600,
    "max_request_line_size": None,
    "max_request_headers": 128,
    "request_header_timeout": None,
    "request_body_timeout": None,
    "max_request_body_time": 0,
    "min_request_body_rate": 256,
    "keep_alive_timeout": None,
    "max_requests_per_connection": 0,
    "response_timeout": None,
    "min_response_rate": 256,
    "ssl_handshake_timeout": 10,
    "max_connections": 16384,
    "retry_after": 1,
    "waiting_threads": 64,
    "body_memory": 4194304,
    "body_memory_size": 67108864,
    "body_spool_memory": 262144,
    "body_spool_size": 1073741824,
    "body_spool_dir": None,
    "socket_mode": 0o777,
    "socket_user": None,
    "socket_group": None,
    "socket_fd": None,
    "reuse_port": False,
    "proxy_protocol": None,
    "proxy_protocol_others": "refuse",
    "instance": None,
    "ssl_module": "builtin",
    "ssl_adapter": None,
    "ssl_context": None,
    "ssl_certificate": None,
    "ssl_certificate_chain": None,
    "ssl_private_key": None,
    "ssl_ciphers": None,
    "ssl_certificates": None,
    "ssl_client_ca": None,
    "ssl_client_verify": None,
    "statistics": False,
    "nodelay": True,
    "wsgi_version": (1, 0),
    "peercreds": False,
    "peercreds_resolve": False,
    "trusted_proxies": None,
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_documented_defaults(key: str) -> None:
    """As the manual lists them."""
    assert getattr(Server(), key) == DEFAULTS[key]


def test_settings_become_limits(server: Server) -> None:
    """Of the native server."""
    server.max_request_header_size = 5000
    server.max_request_body_size = 0
    server.socket_timeout = 3
    server.thread_pool = 4

    made = CPWSGIServer(server)

    assert (made.limits.head_bytes, made.limits.field_bytes, made.limits.request_line_bytes) == (5000, 5000, 5000)
    assert made.limits.head_status == 413
    assert made.limits.body_bytes == 0
    assert (made.limits.idle_s, made.limits.head_s) == (3, 3)
    assert made.numthreads == 4
    assert made.limits.backlog >= 1024


def test_a_queue_that_was_asked_for_counts(server: Server) -> None:
    """The documented default of 5 would lose connections."""
    server.socket_queue_size = 7

    assert CPWSGIServer(server).limits.backlog == 7


def test_room_for_fields_is_no_room_for_the_request_line(server: Server) -> None:
    """A target beyond 16 KiB is refused as too long, with the default of 500 KiB as well."""
    limits = CPWSGIServer(server).limits

    assert (limits.head_bytes, limits.field_bytes, limits.request_line_bytes) == (512000, 512000, 16384)


def test_zero_is_unlimited(server: Server) -> None:
    """Written as the manual says."""
    server.max_request_header_size = 0

    made = CPWSGIServer(server)

    assert made.max_request_header_size == 0
    assert made.limits.head_bytes == made.limits.request_line_bytes == BOUNDLESS


def test_every_documented_setting_has_a_rule() -> None:
    """And every attribute that the class documents is in the table of defaults."""
    public = {name for name in vars(Server) if not name.startswith("_") and name in Server.__annotations__}

    assert set(RULES) == set(DEFAULTS)
    assert public - set(RULES) == {"current_app", "current_responder"}


REFUSED: list[tuple[str, Any]] = [
    ("socket_host", ""),
    ("socket_host", 5),
    ("socket_port", -1),
    ("socket_port", 65536),
    ("socket_port", "http"),
    ("socket_port", 80.5),
    ("socket_file", 5),
    ("socket_mode", 0o10000),
    ("socket_mode", "rw"),
    ("socket_mode", "0x1ff"),
    ("socket_mode", "888"),
    ("socket_user", ""),
    ("socket_user", -1),
    ("socket_group", ["www"]),
    ("socket_fd", ""),
    ("socket_fd", -1),
    ("socket_fd", []),
    ("socket_fd", [3, None]),
    ("socket_fd", True),
    ("reuse_port", "no"),
    ("proxy_protocol", True),
    ("proxy_protocol", ["proxy.example"]),
    ("proxy_protocol_others", "ignore"),
    ("max_request_line_size", -1),
    ("max_request_line_size", 255),
    ("max_request_headers", "many"),
    ("request_header_timeout", 0),
    ("request_body_timeout", "soon"),
    ("max_request_body_time", -1),
    ("max_request_body_time", None),
    ("min_request_body_rate", -1),
    ("keep_alive_timeout", -5),
    ("max_requests_per_connection", None),
    ("response_timeout", 0),
    ("min_response_rate", "slow"),
    ("ssl_handshake_timeout", None),
    ("max_connections", 1.5),
    ("retry_after", "later"),
    ("waiting_threads", -1),
    ("body_memory", -1),
    ("body_memory_size", "much"),
    ("body_spool_memory", None),
    ("body_spool_size", "large"),
    ("body_spool_dir", "/nowhere/at/all"),
    ("socket_queue_size", -1),
    ("socket_queue_size", None),
    ("socket_timeout", 0),
    ("socket_timeout", -1),
    ("socket_timeout", "soon"),
    ("accepted_queue_size", "many"),
    ("accepted_queue_timeout", "soon"),
    ("shutdown_timeout", "soon"),
    ("statistics", "off"),
    ("nodelay", "no"),
    ("peercreds", "False"),
    ("peercreds_resolve", 2),
    ("instance", " "),
    ("instance", 5),
    ("protocol_version", "HTTP/2"),
    ("protocol_version", 1.1),
    ("thread_pool", -1),
    ("thread_pool", "ten"),
    ("thread_pool", [10]),
    ("thread_pool_max", -2),
    ("max_request_header_size", -1),
    ("max_request_header_size", "500K"),
    ("max_request_body_size", -1),
    ("max_request_body_size", "100M"),
    ("ssl_module", "gnutls"),
    ("ssl_module", "no.such.Adapter"),
    ("ssl_module", 5),
    ("ssl_adapter", "builtin"),
    ("ssl_adapter", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),
    ("ssl_context", "x"),
    ("ssl_certificate", 5),
    ("ssl_certificate_chain", 5),
    ("ssl_private_key", 5),
    ("ssl_ciphers", ["AES"]),
    ("ssl_certificates", "cert.pem"),
    ("ssl_certificates", {"a.example": ()}),
    ("ssl_certificates", {"": ("cert.pem", "key.pem")}),
    ("ssl_certificates", [(None, "key.pem")]),
    ("ssl_certificates", [("cert.pem", "key.pem", "chain.pem", "more.pem")]),
    ("ssl_client_ca", 5),
    ("ssl_client_verify", "maybe"),
    ("ssl_client_verify", ["required"]),
    ("wsgi_version", (2, 0)),
    ("wsgi_version", "1.0"),
    ("trusted_proxies", ["10.0.0.0/8", "proxy.example"]),
    ("trusted_proxies", "10.0.0.0/33"),
    ("trusted_proxies", 5),
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_a_wrong_value_is_refused_where_it_is_written(key: str, value: Any) -> None:
    """With the key, the value, and what is allowed; the setting stays what it was."""
    server = Server()

    with pytest.raises(
        ValueError, match=rf"^server\.{key} is .*, which is not an allowed value\. Allowed: .+\.$"
    ) as caught:
        setattr(server, key, value)

    assert RULES[key].allowed in str(caught.value)
    assert getattr(server, key) == DEFAULTS[key]


def test_every_rule_refuses_something() -> None:
    """A rule that accepts everything is none."""
    assert {key for key, _ in REFUSED} == set(RULES)


ACCEPTED: list[tuple[str, Any]] = [
    ("socket_host", None),
    ("socket_host", "::1"),
    ("socket_port", None),
    ("socket_port", 0),
    ("socket_port", "8080"),
    ("socket_file", Path("/run/a.sock")),
    ("socket_mode", None),
    ("socket_mode", "0o660"),
    ("socket_user", "www-data"),
    ("socket_group", 33),
    ("socket_fd", "web"),
    ("socket_fd", 3),
    ("reuse_port", True),
    ("proxy_protocol", None),
    ("proxy_protocol_others", "plain"),
    ("max_request_line_size", "8000"),
    ("max_request_headers", 0),
    ("keep_alive_timeout", "2.5"),
    ("max_connections", 0),
    ("socket_queue_size", 0),
    ("socket_timeout", None),
    ("socket_timeout", 0.5),
    ("socket_timeout", "1.5"),
    ("accepted_queue_size", -1),
    ("shutdown_timeout", None),
    ("shutdown_timeout", -1),
    ("thread_pool", "20"),
    ("thread_pool", None),
    ("thread_pool_max", 100),
    ("max_request_header_size", 0),
    ("max_request_body_size", None),
    ("max_request_body_size", 1e9),
    ("ssl_module", "pyopenssl"),
    ("ssl_module", "cherrypy.httpd.tls.TLS"),
    ("ssl_module", dict),
    ("ssl_context", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),
    ("ssl_certificate", Path("cert.pem")),
    ("ssl_certificates", {"a.example": ("cert.pem", Path("key.pem")), "*.b.example": "both.pem"}),
    ("ssl_certificates", [("cert.pem", None, "chain.pem")]),
    ("ssl_client_ca", Path("ca.pem")),
    ("ssl_client_verify", "optional"),
    ("wsgi_version", ("u", 0)),
    ("protocol_version", "HTTP/1.0"),
]


@pytest.mark.parametrize(("key", "value"), ACCEPTED)
def test_right_values_are_kept_as_they_are(key: str, value: Any) -> None:
    """Text from the environment stays text: applications print it and join it to other text."""
    server = Server()

    setattr(server, key, value)

    assert getattr(server, key) is value


def test_numbers_may_be_text(server: Server) -> None:
    """Of an environment variable, for example."""
    for key, value in {
        "socket_port": "8081",
        "thread_pool": "7",
        "socket_timeout": "2.5",
        "socket_queue_size": "9",
        "max_request_body_size": "100",
        "max_request_header_size": "5000",
    }.items():
        setattr(server, key, value)

    made = CPWSGIServer(server)

    assert server.bind_addr == ("127.0.0.1", 8081)
    assert (made.numthreads, made.limits.idle_s, made.limits.backlog) == (7, 2.5, 9)
    assert (made.limits.body_bytes, made.limits.head_bytes) == (100, 5000)


@pytest.mark.parametrize("port", [8081, "8081", 8081.0, "8081.0", " 8081 "])
def test_a_port_is_a_number_in_addresses(port: Any) -> None:
    """However it was written."""
    server = Server()

    server.socket_port = port

    assert server.bind_addr == ("127.0.0.1", 8081)
    assert type(server.bind_addr[1]) is int
    assert server.base() == "http://127.0.0.1:8081"


@pytest.mark.parametrize(("given", "meant"), [(5, 5), (5.5, 5.5), ("5", 5), ("-5", -5), ("5.5", 5.5)])
def test_numbers(given: Any, meant: float) -> None:
    """Whole ones stay whole."""
    assert number(given) == meant
    assert type(number(given)) is type(meant)


@pytest.mark.parametrize("given", ["", "x", None, []])
def test_no_numbers(given: Any) -> None:
    """Never a TypeError from somewhere else."""
    with pytest.raises(ValueError, match=r"no number|could not convert"):
        number(given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("10.0.0.1, unix: ::1", ["10.0.0.1", "unix:", "::1"]),
        (("127.0.0.1",), ["127.0.0.1"]),
        (iter(["127.0.0.1"]), ["127.0.0.1"]),
        ([], []),
        (None, None),
    ],
)
def test_trusted_proxies_are_a_list(given: Any, kept: Any) -> None:
    """One text is not taken for a list of letters."""
    server = Server()

    server.trusted_proxies = given

    assert server.trusted_proxies == kept


def test_a_named_server_says_which_one_it_is() -> None:
    """Of ``server.2.socket_port``, the two is the point."""
    named = Server()
    named._namespace = "server.2"

    with pytest.raises(ValueError, match=r"^server\.2\.socket_port is 'x'"):
        named.socket_port = "x"


def test_a_timeout_of_none_is_no_limit(server: Server) -> None:
    """For idle connections, heads, bodies and answers."""
    made = CPWSGIServer(server)

    made.timeout = None

    assert made.timeout is None
    assert {made.limits.idle_s, made.limits.head_s, made.limits.body_grace_s, made.limits.write_grace_s} == {BOUNDLESS}
