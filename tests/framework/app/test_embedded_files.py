"""Files through WSGI: the short way and the long way cannot be told apart from outside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

import cherrypy
from cherrypy.app import plainfile
from cherrypy.app.application import Application

from .test_embedded import ask

LARGE = bytes(range(256)) * 400
GUNICORN = {"SERVER_SOFTWARE": "gunicorn/27.0.1", "gunicorn.socket": None, "wsgi.file_wrapper": FileWrapper}
SERVERS: dict[str, dict[str, Any]] = {
    "gunicorn": GUNICORN,
    "uWSGI": {"uwsgi.version": b"2.0.30", "wsgi.file_wrapper": FileWrapper},
    "another": {"wsgi.file_wrapper": FileWrapper},
    "one without a wrapper": {},
}


class Root:
    """A page beside the files."""

    @cherrypy.expose
    def index(self) -> str:
        """Answer text."""
        return "page"


@pytest.fixture
def application(tmp_path: Path) -> Application:
    """Files at /files, and a secret beside their directory."""
    top = tmp_path / "files"
    top.mkdir()
    (top / "a.txt").write_bytes(b"some text")
    (top / "empty.css").write_bytes(b"")
    (top / "large.bin").write_bytes(LARGE)
    (top / "out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    made = Application(Root(), "", {"/files": {"tools.staticdir.on": True, "tools.staticdir.dir": str(top)}})
    made.log.screen = False
    made.log.access_log.propagate = False  # pytest reads every log
    return made


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each file that was asked for the short way was found there."""
    seen: list[bool] = []
    original = plainfile.serve

    def serve(*args: Any) -> Any:
        answer = original(*args)
        seen.append(answer is not None)
        return answer

    monkeypatch.setattr(plainfile, "serve", serve)
    return seen


def environ_for(path: str, **fields: Any) -> dict[str, Any]:
    """An environ of a GET, as far as the standard library thinks of it."""
    environ = {"PATH_INFO": path, "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": "", **fields}
    setup_testing_defaults(environ)
    return environ


def known(application: Application, path: str) -> Application:
    """The application, when it has learned its way to *path*."""
    for _ in range(2):
        ask(application, path)
    return application


def descriptors() -> set[str]:
    """The files that are open."""
    return {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/files/a.txt", {}),
        ("/files/empty.css", {}),
        ("/files/large.bin", {}),
        ("/files/large.bin", {"HTTP_RANGE": "bytes=5-9"}),
        ("/files/a.txt", {"HTTP_IF_MODIFIED_SINCE": "Fri, 01 Jan 2100 00:00:00 GMT"}),
        ("/files/a.txt", {"HTTP_IF_NONE_MATCH": "*"}),
        ("/files/a.txt", {"REQUEST_METHOD": "HEAD"}),
        ("/files/a.txt", {"SERVER_PROTOCOL": "HTTP/1.0"}),
        ("/files/a.txt", {"CONTENT_LENGTH": ""}),
        ("/files/absent", {}),
        ("/files/out.txt", {}),
        ("/files/../secret.txt", {}),
        ("/files//a.txt", {}),
        ("/files/a.txt\0", {}),
        ("/files", {}),
    ],
)
def test_both_ways_give_the_same_answer(
    monkeypatch: pytest.MonkeyPatch, application: Application, server: dict[str, Any], path: str, fields: dict[str, str]
) -> None:
    """Whatever is asked for, under every kind of server."""
    before = descriptors()
    short = [ask(application, path, **server, **fields) for _ in range(3)]
    monkeypatch.setattr(Application, "answer_shortly", None)
    long = ask(application, path, **server, **fields)
    if "gunicorn.socket" in server:
        # which names itself
        short, (long,) = ([(s, [f for f in h if f[0] != "Server"], b) for s, h, b in some] for some in (short, [long]))

    assert short == [long] * 3
    assert not {one for one in descriptors() - before if one.endswith((".txt", ".bin", ".css"))}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_files_go_the_short_way(application: Application, taken: list[bool], server: dict[str, Any]) -> None:
    """As soon as the way is known."""
    ask(known(application, "/files/a.txt"), "/files/large.bin", **server)

    assert taken == [True]


@pytest.mark.parametrize(
    ("server", "is_handed_over"), list(zip(SERVERS.values(), [True, True, False, False], strict=True))
)
def test_who_reads_the_file(application: Application, server: dict[str, Any], is_handed_over: bool) -> None:
    """The server, if it keeps to the length that was declared; the file is closed with its answer."""
    environ = environ_for("/files/large.bin", **server)
    answer: Any = known(application, "/files/large.bin")(environ, lambda status, headers, exc_info=None: None)
    opened = {one for one in descriptors() if one.endswith("large.bin")}
    is_wrapped = isinstance(answer, FileWrapper)
    next(iter(answer))
    answer.close()

    assert len(opened) == 1
    assert is_wrapped is is_handed_over
    assert not {one for one in descriptors() if one.endswith("large.bin")}


def test_a_file_that_grows_is_sent_as_declared(application: Application, tmp_path: Path) -> None:
    """No octet more, by whoever reads it here."""
    sizes: list[int] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        sizes.append(int(dict(headers)["Content-Length"]))

    answer: Any = known(application, "/files/large.bin")(environ_for("/files/large.bin"), start_response)
    with (tmp_path / "files" / "large.bin").open("ab") as file:
        file.write(b"more")
    body = b"".join(answer)
    answer.close()

    assert sizes == [len(body)] == [len(LARGE)]


def test_gunicorn_names_and_dates_itself(application: Application) -> None:
    """It drops both fields anyway; what is left stands in a list of each answer's own."""
    given: list[list[tuple[str, str]]] = []
    for server in (GUNICORN, GUNICORN):
        environ = environ_for("/", **server)
        known(application, "/")(environ, lambda status, fields, exc_info=None: given.append(fields))
        given[-1].append(("X-Server", "changed"))

    assert [[name for name, _ in fields] for fields in given] == [["Content-Type", "Content-Length", "X-Server"]] * 2


def test_pep_3333_is_kept(application: Application) -> None:
    """Says wsgiref's validator."""
    known(application, "/files/large.bin")

    assert ask(validator(application), "/files/large.bin")[2] == LARGE
