"""The short way and the long way to a file cannot be told apart from outside."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app import plainfile
from cherrypy.core.logs import LogManager
from cherrypy.httpd.files import OwnedFile

from ..conftest import Site

CONTENT = b"some text\n" * 10
LARGE = bytes(range(256)) * 400

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class Root:
    """A page, and what may come to stand in the way of the files."""

    @cherrypy.expose
    def index(self) -> str:
        return "page"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with files of all kinds, and a secret beside it."""
    top = tmp_path / "files"
    (top / "deep" / "er").mkdir(parents=True)
    (top / "a.txt").write_bytes(CONTENT)
    (top / "large.bin").write_bytes(LARGE)
    (top / "empty.css").write_bytes(b"")
    (top / "unknown.qqq").write_bytes(b"x")
    (top / "deep" / "er" / "b.html").write_bytes(b"<p>")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "files-too").mkdir()
    (tmp_path / "files-too" / "a.txt").write_bytes(b"secret")
    (top / "out.txt").symlink_to(tmp_path / "secret.txt")
    (top / "in.txt").symlink_to(top / "a.txt")
    os.mkfifo(top / "pipe.txt")
    return top


@pytest.fixture
def files(site: Site, folder: Path) -> Site:
    """The files at /files of a site, and of an application without pages at /bare."""
    settings = {"tools.staticdir.on": True, "tools.staticdir.dir": str(folder)}
    app = site.mount(Root(), "", {"/files": settings})
    bare = site.mount(None, "/bare", {"/": {**settings, "tools.staticdir.index": "a.txt"}})
    for one in (app, bare):
        # pytest reads every log
        one.log.access_log.propagate = False
    return site


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were answered the short way."""
    paths: list[str] = []
    original = plainfile.serve

    def serve(route: Any, message: Any, path: str, introduce: Any) -> Any:
        answer = original(route, message, path, introduce)
        if answer is not None:
            paths.append(path)
        return answer

    monkeypatch.setattr(plainfile, "serve", serve)
    return paths


def ask(site: Site, target: str, version: tuple[int, int] = (1, 1), method: str = "GET", **headers: str) -> Answer:
    """Ask; status, headers but the date, and the body, which is read where it is a file to be sent."""
    status, fields, body, close = site.respond(site.message(target, method, headers, b"", version))
    content = b"".join(body)
    if close is not None:
        close()
    return int(status[:3]), [field for field in fields if field[0] != b"Date"], content


def by_the_long_way(site: Site, monkeypatch: pytest.MonkeyPatch, *args: Any, **headers: str) -> Answer:
    """Ask as if there was no short way."""
    with monkeypatch.context() as patch:
        patch.setattr(plainfile, "serve", lambda *args: None)
        return ask(site, *args, **headers)


PATHS = ["a.txt", "large.bin", "empty.css", "deep/er/b.html", "unknown.qqq", "absent.txt", "deep", "", "in.txt", ".."]
PATHS += ["out.txt", "pipe.txt", "../secret.txt", "deep/../a.txt", "../files-too/a.txt", "/a.txt", "/etc/passwd"]
PATHS += ["a%2Etxt", "a.txt/", "%2e%2e/secret.txt", "a.txt%00", "deep%2Fer/b.html", "a.txt?x=1", "deep\\er/b.html"]
PATHS += ["a/b/c/d/e/f/g.txt"]
HEADERS: list[dict[str, str]] = [
    {},
    {"Range": "bytes=2-4"},
    {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    {"If-None-Match": "*"},
    {"Accept-Charset": "utf-8"},
]


@pytest.mark.parametrize("mount", ["/files/", "/bare/"])
@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: next(iter(headers), "plain"))
@pytest.mark.parametrize("path", PATHS)
def test_both_ways_give_the_same_answer(
    files: Site, monkeypatch: pytest.MonkeyPatch, mount: str, headers: dict[str, str], path: str
) -> None:
    """Whatever is asked for, and how."""
    ask(files, mount + "a.txt")
    ask(files, mount + "a.txt")
    short = [ask(files, mount + path, **headers) for _ in range(2)]

    assert short == [by_the_long_way(files, monkeypatch, mount + path, **headers)] * 2
    assert cherrypy.serving.__dict__ == {}


@pytest.mark.parametrize(("version", "method"), [((1, 0), "GET"), ((1, 1), "HEAD"), ((1, 1), "POST")])
def test_other_requests_give_the_same_answer(
    files: Site, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], method: str
) -> None:
    """Of an older version, or another method."""
    ask(files, "/files/a.txt")
    ask(files, "/files/a.txt")

    assert ask(files, "/files/a.txt", version, method) == by_the_long_way(
        files, monkeypatch, "/files/a.txt", version, method
    )


def test_files_go_the_short_way(files: Site, taken: list[str]) -> None:
    """As soon as the configuration is known; a large one is left to ``sendfile``."""
    wanted = ["/files/a.txt", "/files/large.bin", "/files/deep/er/b.html", "/bare/a.txt", "/bare/deep/er/b.html"]
    for path in [*wanted, *wanted]:
        ask(files, path)
    taken.clear()
    for path in wanted:
        ask(files, path)
    _, _, body, close = files.respond(files.message("/files/large.bin", "GET", {}, b"", (1, 1)))

    assert taken == [*wanted, "/files/large.bin"]
    assert isinstance(body, OwnedFile)
    assert close is None
    body.close()


def replace(files: Site, folder: Path) -> bytes:
    """Another content."""
    (folder / "a.txt").write_bytes(b"new")
    return b"new"


def remove(files: Site, folder: Path) -> int:
    """No file any more."""
    (folder / "a.txt").unlink()
    return 404


def lead_out(files: Site, folder: Path) -> int:
    """A link to a secret in its place."""
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(folder.parent / "secret.txt")
    return 403


def put_a_page_there(files: Site, folder: Path) -> bytes:
    """A page of the same name, which goes on to the tool for what is not its own."""
    root = files.tree.apps[""].root
    root.files = cherrypy.expose(lambda *path: f"page {path}")
    (folder / "a.txt").unlink()
    return b"page ('a.txt',)"


def put_a_default_there(files: Site, folder: Path) -> bytes:
    """A default page for what there is not."""
    files.tree.apps[""].root.default = cherrypy.expose(lambda *path: "default")
    (folder / "a.txt").unlink()
    return b"default"


def protect(files: Site, folder: Path) -> int:
    """Another tool on the section."""
    files.tree.apps[""].merge({"/files": {"tools.allow.on": True, "tools.allow.methods": ["PUT"]}})
    return 405


def configure_below(files: Site, folder: Path) -> int:
    """A section below this one."""
    files.tree.apps[""].merge({"/files/a.txt": {"tools.allow.on": True, "tools.allow.methods": ["PUT"]}})
    return 405


def mount_below(files: Site, folder: Path) -> bytes:
    """Another application below the files."""
    files.mount(Root(), "/files/a.txt")
    return b"page"


@pytest.mark.parametrize(
    "change",
    [
        replace,
        remove,
        lead_out,
        put_a_page_there,
        put_a_default_there,
        protect,
        configure_below,
        mount_below,
    ],
)
def test_a_change_is_seen_at_once(files: Site, folder: Path, change: Callable[[Site, Path], Any]) -> None:
    """Of the file, of the pages, of the configuration, of what is mounted."""
    before = [ask(files, "/files/a.txt")[2] for _ in range(3)]
    expected = change(files, folder)
    status, _, content = ask(files, "/files/a.txt/" if change is mount_below else "/files/a.txt")

    assert before == [CONTENT] * 3
    assert (content if isinstance(expected, bytes) else status) == expected


class Collector(logging.Handler):
    """Keeps what it is given."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_a_file_is_logged_as_ever(files: Site, monkeypatch: pytest.MonkeyPatch, taken: list[str]) -> None:
    """By a log that somebody reads."""
    lines: list[str] = []
    manager = files.tree.apps[""].log
    monkeypatch.setattr(manager, "access_log_format", '{h} "{r}" {s} {b}')
    monkeypatch.setattr(manager.access_log, "handlers", [Collector(lines)])
    for _ in range(3):
        ask(files, "/files/large.bin")

    assert taken
    assert lines == [f'192.0.2.1 "GET /files/large.bin HTTP/1.1" 200 {len(LARGE)}'] * 3


def test_no_descriptor_stays_open(files: Site) -> None:
    """Whatever becomes of the request."""
    for path in PATHS:
        ask(files, f"/files/{path}")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        for path in PATHS:
            ask(files, f"/files/{path}")

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_log_never_sees_a_request_that_nobody_closed(
    files: Site, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Middleware may forget to close an answer, and the next request comes to the same thread."""
    seen: list[str] = []
    ask(files, "/files/a.txt")
    ask(files, "/files/a.txt")
    monkeypatch.setattr(LogManager, "access", lambda self: seen.append(cherrypy.request.path_info))
    cherrypy.serving.request = SimpleNamespace(path_info="of another")
    taken.clear()
    ask(files, "/files/a.txt")

    assert taken == seen == ["/files/a.txt"]
