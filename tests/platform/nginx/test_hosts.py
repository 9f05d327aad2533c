"""An edge before other hosts, each played by a server of its own, as a client sees it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kirsch.errors import SpecError
from kirsch.nginx import Nginx, NginxControl, render_site
from kirsch.nginx.hosts import upstream
from kirsch.nginx.scope import Ground, Scope
from kirsch.nginx.version import Build, Version
from kirsch.spec import HostPaths, Stack

StackFrom = Callable[[str], Stack]
Render = Callable[[Stack], dict[str, str]]
PATHS = HostPaths("/srv/shop", "/run/shop")
BASE = '[stack]\nname = "x"\n[app.a]\nentry = "a:b"\n[vhost.main]\nupstream = "web"\n'
STICKY = frozenset({"http_upstream_sticky", "http_upstream_zone"})


class Host(ThreadingHTTPServer):
    """A host: says its name and what it got; holds *pause* back until it is told to go on."""

    daemon_threads = True

    def __init__(self, name: str, address: str = "127.0.0.1", port: int = 0) -> None:
        self.lines: list[socket.socket] = []
        super().__init__((address, port), Handler)
        self.name = name
        self.go_on = threading.Event()
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and remember it."""
        line, address = super().get_request()
        self.lines.append(line)
        return line, address

    def end(self) -> None:
        """Refuse from now on, and close what is open."""
        self.shutdown()
        self.server_close()
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Host

    def do_GET(self) -> None:
        """Answer as JSON; at /pieces in two, the second once the client has the first."""
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        data = json.dumps({"host": self.server.name, "fields": dict(self.headers), "body": body}).encode()
        self.send_response(200)
        self.send_header("X-Accel-Redirect", "/.kirsch/pages/502.html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.path == "/pieces":
            self.wfile.write(data[:5])
            self.server.go_on.wait(30)
            data = data[5:]
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


class Names(threading.Thread):
    """A DNS server: knows one address for any name, for a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.address = "127.0.0.1"
        self.line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.line.bind(("127.0.0.1", 0))
        self.port = int(self.line.getsockname()[1])
        self.start()

    def run(self) -> None:
        """Answer questions for A; of other kinds there is nothing."""
        while True:
            try:
                asked, who = self.line.recvfrom(512)
            except OSError:
                return
            end = asked.index(b"\0", 12) + 5
            is_a = asked[end - 4 : end - 2] == b"\0\1"
            answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(self.address) if is_a else b""
            head = asked[:2] + struct.pack(">HHHHH", 0x8180, 1, int(is_a), 0, 0)
            self.line.sendto(head + asked[12:end] + answer, who)


@pytest.fixture
def host() -> Iterator[Callable[..., Host]]:
    """Start hosts."""
    started: list[Host] = []

    def start(name: str, *words: Any) -> Host:
        started.append(Host(name, *words))
        return started[-1]

    yield start
    for one in started:
        one.go_on.set()
        one.end()


@pytest.fixture
def edge(
    control: NginxControl, render: Render, stack_from: StackFrom, free_port: Callable[[], int]
) -> Callable[[str], Callable[..., Any]]:
    """Start an edge with what stands in ``[upstream.web]``; returns how to ask it."""

    def start(text: str) -> Callable[..., Any]:
        port = free_port()
        control.apply(render(stack_from(f'{BASE}listen = ["127.0.0.1:{port}"]\n[upstream.web]\n{text}')))

        def ask(method: str = "GET", **fields: str) -> tuple[int, http.client.HTTPMessage, Any]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(method, "/x", "a body" if method == "POST" else None, fields)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, answer.headers, json.loads(body) if answer.status == 200 else body

        ask.port = port  # type: ignore[attr-defined]
        return ask

    return start


@pytest.mark.nginx
def test_hosts_get_their_shares_and_some_get_nothing(edge: Any, host: Any) -> None:
    """By weight; none while it is down; a backup only while nobody else is there. The body, too, goes to the next."""
    big, little, down, backup = (host(name) for name in ("big", "little", "down", "backup"))
    ask = edge(
        f'members = [{{ address = "127.0.0.1:{big.port}", weight = 3 }}, "127.0.0.1:{little.port}",\n'
        f'{{ address = "127.0.0.1:{down.port}", down = true }},\n'
        f'{{ address = "127.0.0.1:{backup.port}", backup = true }}]\n'
    )
    shares = Counter(ask()[2]["host"] for _ in range(24))
    status, fields, body = ask("POST", **{"X-Forwarded-For": "192.0.2.1", "X-Request-ID": "forged"})
    big.end()
    without_big = {ask()[2]["host"] for _ in range(4)}
    little.end()
    ask()
    alone = ask("POST")

    assert set(shares) == {"big", "little"}
    assert shares["big"] > shares["little"]
    assert (status, body["body"]) == (200, "a body")
    assert (body["fields"]["X-Forwarded-For"], body["fields"]["Host"]) == ("127.0.0.1", f"127.0.0.1:{ask.port}")
    assert fields["X-Request-ID"] == body["fields"]["X-Request-ID"] != "forged"
    assert without_big == {"little"}
    assert (alone[0], alone[2]["host"], alone[2]["body"]) == (200, "backup", "a body")


@pytest.mark.nginx
def test_a_host_that_is_gone_without_a_word_is_given_up_soon(edge: Any, host: Any) -> None:
    """Its packets get no answer; a POST is given to the next one, and from then on nobody waits for it."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        address = silent.getsockname()
        # its queue is full: further connections are never made
        crowd = [socket.socket() for _ in range(3)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(address)
        here = host("here")
        member = f'{{ address = "127.0.0.1:{address[1]}", max_fails = 1, fail_timeout_s = 3600 }}'
        ask = edge(f'connect_timeout_s = 0.5\nmembers = [{member}, "127.0.0.1:{here.port}"]\n')
        began = time.monotonic()
        first = [ask("POST") for _ in range(4)]
        middle = time.monotonic()
        later = [ask("POST") for _ in range(20)]
        took = time.monotonic() - middle
        for one in crowd:
            one.close()

    assert {answer[2]["host"] for answer in first + later} == {"here"}
    # both of nginx's processes may have asked once before it was known
    assert middle - began >= 0.5
    assert took < 20 * 0.5


@pytest.mark.nginx
def test_a_client_stays_with_its_host(edge: Any, host: Any, nginx: Nginx) -> None:
    """By a cookie: nginx's own, or one that is hashed; a forged one is nobody's."""
    hosts = [host(name) for name in ("one", "two", "three")]
    members = ", ".join(f'"127.0.0.1:{one.port}"' for one in hosts)
    ask = edge(f"sticky = {{ days = 3 }}\nmembers = [{members}]\n")
    clients = []
    for _ in range(12):
        _, fields, body = ask()
        clients.append((fields["Set-Cookie"].partition(";")[0], body["host"]))
    again = [(cookie, ask(Cookie=cookie)[2]["host"]) for cookie, _ in clients * 3]
    forged = ask(Cookie="kirsch_host_web=$request_id")

    assert len({name for _, name in clients}) > 1
    assert again == clients * 3
    assert forged[0] == 200
    words = {word.partition("=")[0].strip().lower() for word in ask()[1]["Set-Cookie"].split(";")[1:]}
    assert {"path", "max-age", "httponly", "samesite"} <= words


@pytest.mark.nginx
def test_what_a_host_sends_early_arrives_early(edge: Any, host: Any) -> None:
    """The host knows which of its answers are streams, and the edge does not."""
    one = host("one")
    ask = edge(f'members = ["127.0.0.1:{one.port}"]\n')
    connection = http.client.HTTPConnection("127.0.0.1", ask.port, timeout=30)
    connection.request("GET", "/pieces")
    answer = connection.getresponse()
    first = answer.read(5)
    one.go_on.set()
    rest = answer.read()
    connection.close()

    # the host had not sent more by then; and its word about files of its own nginx's is not ours
    assert json.loads(first + rest)["host"] == "one"


@pytest.mark.nginx
def test_a_name_that_moves_is_followed(edge: Any, host: Any) -> None:
    """DNS says another address: newer versions see it in a group of hosts, older ones where the name is alone."""
    names, here = Names(), host("here")
    there = host("there", "127.0.0.2", here.port)
    resolver = f'resolve = true\nresolver = ["127.0.0.1:{names.port}"]\n'
    ask = edge(f'{resolver}members = ["web.test:{here.port}"]\n')
    deadline = time.monotonic() + 30
    while (first := ask())[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.02)
    names.address = "127.0.0.2"
    while (then := ask())[2]["host"] != "there" and time.monotonic() < deadline:
        time.sleep(0.02)
    names.line.close()

    assert first[2]["host"] == "here"
    assert then[2]["host"] == "there"
    assert there.port == here.port


def lines(stack: Stack, version: Version, modules: frozenset[str] = STICKY, servers: tuple[str, ...] = ()) -> list[str]:
    """The upstream block of *stack* for a build."""
    scope = Scope(stack, PATHS, Build(version, modules), Ground(nameservers=servers))
    found = upstream(scope, stack.upstreams["web"])
    return [] if found is None else [" ".join([one.name, *map(str, one.values)]) for one in found.children]  # type: ignore[union-attr]


def test_each_version_is_told_in_its_own_words(stack_from: StackFrom) -> None:
    """A group of names is resolved while nginx runs, or when it begins; a client stays by nginx's cookie, or ours."""
    text = 'resolve = true\nsticky = true\nmembers = ["a.test:80", "b.test:80"]\n'
    stack = stack_from(f"{BASE}[upstream.web]\n{text}")
    new, old = lines(stack, (1, 31, 3), servers=("10.0.0.2",)), lines(stack, (1, 22, 1), servers=("10.0.0.2",))

    assert "server a.test:80 max_fails=2 fail_timeout=5s resolve" in new
    assert "resolver 10.0.0.2" in new
    assert any(line.startswith("sticky cookie kirsch_host_web") for line in new)
    assert "server a.test:80 max_fails=2 fail_timeout=5s" in old
    assert any(line.startswith("hash") for line in old)
    assert not any("resolver" in line for line in old)


def test_what_a_version_cannot_do_is_said(stack_from: StackFrom) -> None:
    """A hash knows no backups; the text names the key and what is needed."""
    members = '["10.0.0.1:80", { address = "10.0.0.2:80", backup = true }]'
    stack = stack_from(f"{BASE}[upstream.web]\nsticky = true\nmembers = {members}\n")

    assert any("backup" in line for line in lines(stack, (1, 31, 3)))
    with pytest.raises(SpecError, match=r"upstream\.web\.sticky") as caught:
        render_site(stack, PATHS, (1, 22, 1), generation="000001", pages={})
    assert "nginx 1.22.1" in str(caught.value)


def test_slow_requests_are_not_run_twice(stack_from: StackFrom) -> None:
    """Another host is looked for only while an answer cannot be late yet."""
    stack = stack_from(f'{BASE}[upstream.web]\ntimeout_s = 4\nmembers = ["10.0.0.1:80", "10.0.0.2:80"]\n')

    assert stack.upstreams["web"].search_s < 4
    text = render_site(stack, PATHS, (1, 22, 1), generation="000001", pages={})
    assert "proxy_next_upstream error timeout;" in text["vhosts/main.proxy.conf"]
    assert "proxy_next_upstream_timeout 2s;" in text["vhosts/main.proxy.conf"]
    assert "proxy_read_timeout 4s;" in text["vhosts/main.conf"]


WRONG = {
    "no port": ('members = ["10.0.0.1"]', "upstream.web.members[0]"),
    "a number that is no address": ('members = ["10.0.0.300:80"]', "upstream.web.members[0]"),
    "a port that is none": ('members = ["10.0.0.1:65536"]', "upstream.web.members[0]"),
    "twice": ('members = ["web:80", "WEB:80"]', "upstream.web.members[1]"),
    "nobody": ("members = []", "upstream.web.members"),
    "nobody who is there": ('members = [{ address = "web:80", down = true }]', "upstream.web.members"),
    "a word too many": ('members = [{ address = "web:80", wieght = 2 }]', "upstream.web.members[0].wieght"),
    "directives": ('members = ["web:80; evil on"]', "upstream.web.members[0]"),
    "stickiness by halves": ('members = ["web:80"]\nsticky = "yes"', "upstream.web.sticky"),
    "a resolver by name": ('members = ["web:80"]\nresolver = ["dns"]', "upstream.web.resolver[0]"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named(stack_from: StackFrom, case: str) -> None:
    """With its key."""
    text, key = WRONG[case]

    with pytest.raises(SpecError) as caught:
        stack_from(f"{BASE}[upstream.web]\n{text}\n")
    assert key in [problem.key for problem in caught.value.problems]


def test_a_vhost_has_apps_or_hosts_and_hosts_have_a_vhost(stack_from: StackFrom) -> None:
    """Each of the three mistakes by itself."""
    hosts = '[upstream.web]\nmembers = ["web:80"]\n'
    texts = {
        "vhost.main.upstream": BASE + 'apps = ["a"]\n' + hosts,
        "upstream.other": BASE + hosts + hosts.replace("web]", "other]"),
    }
    keys = {}
    for key, text in texts.items():
        with pytest.raises(SpecError) as caught:
            stack_from(text)
        keys[key] = [problem.key for problem in caught.value.problems]
    with pytest.raises(SpecError, match="did you mean web") as unknown:
        stack_from(BASE.replace('"web"', '"wbe"') + hosts)

    assert all(key in found for key, found in keys.items())
    assert "vhost.main.upstream" in [problem.key for problem in unknown.value.problems]
