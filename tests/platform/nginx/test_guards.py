"""Who may come in and how often, asked by clients of a real nginx."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.nginx import NginxControl
from kirsch.spec import HostPaths

pytestmark = pytest.mark.nginx

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]
ROUTE = '\n[app.shop.routes."{path}"]\n{keys}\n[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n{more}\n'


def hashed(word: str) -> str:
    """A hash of *word* as openssl prints it."""
    ran = subprocess.run(["openssl", "passwd", "-6", word], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def basic(name: str, word: str) -> str:
    """The field of a client that says who it is."""
    return "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()


def test_a_route_asks_for_a_password(
    serve: Serve, get: Get, free_port: Callable[[], int], control: NginxControl
) -> None:
    """Names of any letters; the rest of the app is open; nobody but nginx's user can read the file."""
    port = free_port()
    name = 'Jürgen \\ "x" {y}; $z \'#'
    keys = f"auth = {{ realm = \"The {{back}}; office's\", users = {{ {json.dumps(name)} = '{hashed('pass')}' }} }}"
    serve(ROUTE.format(path="/admin", keys=keys, port=port, more=""))
    status, fields, _ = get(port, "/admin/x")
    passwords = next(Path(control.paths.nginx_current, "passwords").iterdir())

    assert (status, fields["www-authenticate"]) == (401, 'Basic realm="The {back}; office\'s"')
    assert get(port, "/admin")[0] == 401
    assert get(port, "/administrator")[0] == get(port, "/")[0] == 200
    assert get(port, "/admin/x", Authorization=basic(name, "wrong"))[0] == 401
    assert get(port, "/admin/x", Authorization=basic("Jürgen", "pass"))[0] == 401
    assert get(port, "/admin/x", Authorization=basic(name, "pass"))[0] == 200
    assert passwords.stat().st_mode & 0o007 == 0


def test_a_whole_vhost_asks_for_a_password_from_a_file(
    serve: Serve, get: Get, free_port: Callable[[], int], stage: HostPaths
) -> None:
    """But certificate authorities are let in."""
    port = free_port()
    folder = Path(stage.shared)
    folder.mkdir(mode=0o755, exist_ok=True)
    (folder / "users").write_text(f"ann:{hashed('pass')}\n")
    for path in (stage.root, stage.shared):
        Path(path).chmod(0o755)
    more = 'auth = { users_file = "shared/users" }\nacme = true\nallow = ["192.0.2.0/24", "127.0.0.0/8"]'
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n{more}\n')

    assert get(port)[0] == 401
    assert get(port, Authorization=basic("ann", "pass"))[0] == 200
    assert get(port, "/.well-known/acme-challenge/x")[0] == 404


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ('allow = ["127.0.0.1"]', 200),
        ('allow = ["192.0.2.0/24", "2001:db8::/32"]', 403),
        ('deny = ["127.0.0.0/8"]', 403),
        ('deny = ["192.0.2.0/24"]', 200),
        ('allow = ["127.0.0.0/8"]\ndeny = ["127.0.0.1"]', 403),
    ],
)
def test_networks_are_let_in_or_kept_out(
    serve: Serve, get: Get, free_port: Callable[[], int], keys: str, status: int
) -> None:
    """``deny`` comes first; an ``allow`` keeps out everybody else."""
    port = free_port()
    serve(ROUTE.format(path="/admin", keys=keys, port=port, more=""))

    assert (get(port, "/admin")[0], get(port, "/")[0]) == (status, 200)


def test_a_route_lets_in_nobody_whom_the_vhost_keeps_out(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """Nginx would forget the vhost's networks where a route has its own."""
    port = free_port()
    serve(ROUTE.format(path="/a", keys='allow = ["127.0.0.0/8"]', port=port, more='deny = ["127.0.0.1"]'))

    assert get(port, "/a")[0] == get(port, "/")[0] == 403


def test_who_asks_too_often_is_told_so(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """Per client, in its own part of the app; one in a minute and two at once more are let through."""
    port = free_port()
    serve(ROUTE.format(path="/login", keys='rate = { limit = "1/m", burst = 2 }', port=port, more=""))
    statuses = [get(port, "/login")[0] for _ in range(5)]

    assert statuses == [200, 200, 200, 429, 429]
    assert get(port, "/")[0] == 200


def test_a_route_s_rate_comes_on_top_of_the_vhost_s(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """Asking for one does not make nginx forget the other."""
    port = free_port()
    keys = 'rate = "1000/s"\nconnections = 100'
    serve(ROUTE.format(path="/a", keys=keys, port=port, more='rate = { limit = "1/m", burst = 0 }'))

    assert [get(port, "/a")[0] for _ in range(2)] == [200, 429]


def test_a_changed_rate_is_taken_up(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """What is counted may change without a new start of nginx: the memory for it has another name then."""
    port = free_port()
    text = '[vhost.main]\nlisten = ["127.0.0.1:{port}"]\nrate = {{ limit = "1/m", burst = 0, per = "{per}" }}\n'
    serve(text.format(port=port, per="client"))
    get(port)
    serve(text.format(port=port, per="all"))

    assert [get(port)[0] for _ in range(2)] == [200, 429]


def test_a_client_has_so_many_connections(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """While one is inside, the next is refused."""
    port = free_port()
    worker = serve(ROUTE.format(path="/one", keys="connections = 1", port=port, more=""))
    inner: list[int] = []

    def ask_again(handler: Any, line: str) -> None:
        inner.append(get(port, "/one")[0])
        handler.wfile.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    worker.script = ask_again
    outer = get(port, "/one")[0]

    assert (outer, inner) == (204, [429])


@pytest.mark.parametrize(("bypass", "status"), [("127.0.0.0/8", 200), ("192.0.2.0/24", 503)])
def test_maintenance_lets_a_few_in(
    serve: Serve, get: Get, free_port: Callable[[], int], bypass: str, status: int
) -> None:
    """The others see when to come again, in every part of every app."""
    port = free_port()
    more = f'maintenance = {{ bypass = ["{bypass}"], retry_after_s = 300 }}'
    serve(ROUTE.format(path="/live", keys='kind = "events"', port=port, more=more))

    for path in ("/", "/live", "/live/x"):
        found = get(port, path)
        assert found[0] == status
        assert found[1].get("retry-after") == ("300" if status == 503 else None)


def test_errors_of_nginx_s_own_have_the_stack_s_pages(
    serve: Serve, get: Get, free_port: Callable[[], int], tmp_path: Path, stage: HostPaths
) -> None:
    """The current release's file; the status stays, and nobody can ask for the page itself."""
    port = free_port()
    (tmp_path / "pages").mkdir()
    for folder in (stage.root, f"{stage.root}/release"):
        Path(folder).mkdir(exist_ok=True)
        Path(folder).chmod(0o755)
    Path(stage.current).symlink_to("release")
    for place in (tmp_path / "pages", Path(stage.root, "release", "pages")):
        place.mkdir(exist_ok=True)
        (place / "413.html").write_text("<h1>too much</h1>")
    serve(
        f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\nmax_body = 3\nsecurity = "basic"\n'
        'error_pages = { 413 = "pages/413.html" }\n'
    )
    status, fields, body = get(port, method="POST", Content_Length="4")

    assert (status, body) == (413, b"<h1>too much</h1>")
    assert fields["content-type"] == "text/html; charset=utf-8"
    assert fields["x-content-type-options"] == "nosniff"
    assert get(port, "/.kirsch/pages/own/413")[0] == 404
