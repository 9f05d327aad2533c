"""Files that nginx sends by itself, asked for by a client; and what follows from an application's configuration."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.nginx.appconfig import read_sections
from kirsch.nginx.handlers import BODY_MARGIN_BYTES, derived_files, derived_routes
from kirsch.spec import App, HostPaths, Route

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]


def release(stage: HostPaths, name: str, files: dict[str, str], when: int) -> None:
    """Put a release on the host; the last one put is the current one."""
    for file, text in files.items():
        path = Path(stage.releases, name, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    os.utime(Path(stage.releases, name), (when, when))
    part = Path(f"{stage.current}.part")
    part.symlink_to(f"releases/{name}")
    os.rename(part, stage.current)
    for folder in (stage.root, stage.run, stage.releases):
        os.chmod(folder, 0o755)


@pytest.mark.nginx
def test_folders_of_the_release_need_no_worker(
    serve: Serve, get: Get, free_port: Callable[[], int], stage: HostPaths, tmp_path: Path
) -> None:
    """With their type; what is not there, and what is a folder, is the app's; nobody gets out of it."""
    port = free_port()
    (tmp_path / "static").mkdir()
    release(stage, "1", {"static/a b.css": "body{}", "static/deep/x.js": "1", "secret.txt": "s"}, 1)
    worker = serve(
        f'files = {{ "/st atic" = "static" }}\n[vhost.main]\nlisten = ["127.0.0.1:{port}"]\nsecurity = "basic"\n',
        base='[stack]\nname = "x"\n[pool.web]\nworkers = 1\n[app.shop]\nentry = "shop:Root"\n',
    )
    status, fields, body = get(port, "/st%20atic/a%20b.css")
    asked = worker.requests

    assert (status, body, fields["content-type"]) == (200, b"body{}", "text/css")
    assert fields["x-content-type-options"] == "nosniff"
    assert get(port, "/st%20atic/deep/x.js", If_Modified_Since=fields["date"])[0] in (200, 304)
    assert asked == worker.requests == 0
    for path in ("/st%20atic/none%2Fx.css", "/st%20atic/deep", "/st%20atic"):
        assert get(port, path)[2]["line"] == f"GET {path} HTTP/1.1"
    for path in ("/st%20atic../secret.txt", "/st%20atic/%2e%2e/secret.txt", "/st%20atic/..%2fsecret.txt"):
        found = get(port, path)
        assert found[0] == 400 or "line" in found[2]


@pytest.mark.nginx
def test_assets_of_the_old_release_are_there_while_the_new_one_rolls(
    serve: Serve, get: Get, free_port: Callable[[], int], stage: HostPaths, tmp_path: Path, control: Any
) -> None:
    """Pages that browsers have open ask for them; a deploy changes nothing in nginx's configuration."""
    port = free_port()
    (tmp_path / "dist").mkdir()
    text = f'assets = {{ "/dist.v+1" = "dist" }}\n[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n'
    base = '[stack]\nname = "x"\n[pool.web]\nworkers = 1\n[app.shop]\nentry = "shop:Root"\n'
    release(stage, "1", {"dist/app.111.js": "one"}, 1)
    serve(text, base=base)
    first = get(port, "/dist.v+1/app.111.js")
    release(stage, "2", {"dist/app.222.js": "two"}, 2)
    serve(text, base=base)

    assert (first[0], first[2]) == (200, b"one")
    assert first[1]["cache-control"] == "public, max-age=31536000, immutable"
    assert [get(port, f"/dist.v+1/app.{n}.js")[2] for n in ("111", "222")] == [b"one", b"two"]
    assert get(port, "/dist.v+1/app.333.js")[2]["line"] == "GET /dist.v+1/app.333.js HTTP/1.1"
    assert "line" in get(port, "/distXvv1/app.111.js")[2]
    assert control.generation == "000001"


@pytest.mark.nginx
def test_an_app_s_configuration_says_what_nginx_needs(
    serve: Serve, get: Get, free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Its limit of bodies is the one that is met, and its static folder is nginx's once the operator says so."""
    port = free_port()
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.css").write_text("a{}")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    (tmp_path / "shop.conf").write_text(
        f"[/in]\nrequest.body.maxbytes = 1000000\n[/static]\ntools.staticdir.on = True\n"
        f"tools.staticdir.dir = '{tmp_path}/www'\n"
    )
    vhost = f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\nmax_body = 10\n'
    base = '[stack]\nname = "x"\n[pool.web]\nworkers = 1\n[app.shop]\nentry = "shop:Root"\nconfig = "shop.conf"\n'
    serve(vhost, base=base)
    before = get(port, "/static/a.css")
    over = [get(port, path, method="POST", Content_Length="1100000")[0] for path in ("/in", "/")]
    serve(vhost, base=base + "offload = true\n")
    after = get(port, "/static/a.css")

    assert "line" in before[2]
    assert over == [413, 413]
    fits = get(port, "/in", method="POST", Content_Length="0")
    assert fits[0] == 200
    assert (after[0], after[2]) == (200, b"a{}")


SECTIONS: dict[str, dict[str, object]] = {
    "global": {"server.max_request_body_size": 1000},
    "/": {"tools.gzip.on": True},
    "/ws": {"tools.websocket.on": True},
    "/ws/plain": {"tools.websocket.on": False},
    "/live": {"tools.sse.on": True},
    "/live/more": {"tools.etags.on": True},
    "/big": {"request.process_request_body": False, "request.body.maxbytes": 5},
    "/long": {"response.stream": True},
    "/static": {"tools.staticdir.on": True, "tools.staticdir.dir": "/srv/static"},
    "/mixed": {"tools.staticdir.on": True, "tools.staticdir.dir": "/srv/mixed"},
    "/mixed/members": {"tools.sessions.on": True},
    "/matched": {"tools.staticdir.on": True, "tools.staticdir.dir": "/srv/m", "tools.staticdir.match": "x$"},
    "/relative": {"tools.staticdir.on": True, "tools.staticdir.dir": "m"},
    "/rooted": {"tools.staticdir.on": True, "tools.staticdir.dir": "m", "tools.staticdir.root": "/srv"},
    "/favicon.ico": {"tools.staticfile.on": True, "tools.staticfile.filename": "/srv/icon.ico"},
    "/off": {"tools.staticdir.on": False, "tools.staticdir.dir": "/srv/off"},
    "/$odd": {"tools.websocket.on": True},
    "/../x": {"tools.websocket.on": True},
}


def test_routes_follow_from_sections() -> None:
    """What a section says holds for all below it, until one says otherwise."""
    derived = derived_routes(SECTIONS)
    everywhere = 1000 + BODY_MARGIN_BYTES

    assert {path: (route.kind, route.max_body) for path, route in derived.items()} == {
        "": ("page", everywhere),
        "/ws": ("websocket", everywhere),
        "/ws/plain": ("page", everywhere),
        "/live": ("events", everywhere),
        "/big": ("upload", 5 + BODY_MARGIN_BYTES),
        "/long": ("stream", everywhere),
    }
    assert derived_routes({}) == {}
    assert derived_routes({"/": {"tools.gzip.on": True}}) == {}
    assert isinstance(derived["/ws"], Route)


def test_folders_follow_from_sections_that_nothing_else_guards() -> None:
    """Neither a session, also below, nor a pattern, nor a path that only the worker could complete."""
    assert derived_files(SECTIONS) == {
        "/static": "/srv/static/",
        "/rooted": "/srv/m/",
        "/favicon.ico": "/srv/icon.ico",
    }
    assert derived_files({**SECTIONS, "/": {"tools.auth_basic.on": True}}) == {}
    assert derived_files({**SECTIONS, "/": {"tools.auth_basic.on": None}}) == {}


def test_only_literals_are_read(tmp_path: Path) -> None:
    """Nothing of the application is imported, and nothing is evaluated."""
    (tmp_path / "a.conf").write_text(
        "[global]\nserver.max_request_body_size = 5\n[/]\nrequest.dispatch = cherrypy.dispatch.MethodDispatcher()\n"
        "tools.x.y = __import__('os').getpid()\ntools.a.on = True\n"
    )
    in_file = read_sections(App(name="a", entry="a:b", config="a.conf"), str(tmp_path))
    in_table = read_sections(App(name="a", entry="a:b", config={"tools.a.on": True, "/b": {"c": 1}}), str(tmp_path))

    unknown = dict.fromkeys(("request.dispatch", "tools.x.y"))

    assert in_file == {"global": {"server.max_request_body_size": 5}, "/": unknown | {"tools.a.on": True}}
    assert in_table == {"/": {"tools.a.on": True}, "/b": {"c": 1}}
    assert read_sections(App(name="a", entry="a:b", config="none.conf"), str(tmp_path)) == {}
