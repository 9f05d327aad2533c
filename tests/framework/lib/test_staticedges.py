"""Static files at the edges: preconditions in their order, dates that say too little, odd file objects, closing."""

from __future__ import annotations

import gzip
import io
import logging
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.http.dates import HTTPDate
from cherrypy.lib import static
from cherrypy.lib.filebody import FileBody, RangesBody

CONTENT = b"0123456789"
MODIFIED = 1000
OLD, SAME, NEW = HTTPDate(MODIFIED - 1), HTTPDate(MODIFIED), HTTPDate(MODIFIED + 1)
TAG = f'"{MODIFIED * 10**9:x}-{len(CONTENT):x}"'


class Root:
    """Pages under and beside the static files."""

    path = ""
    opened: list[Any] = []

    @cherrypy.expose
    def default(self, *path: str) -> str:
        """Say that no file was served."""
        return "dynamic"

    @cherrypy.expose
    def fileobj(self) -> Any:
        """The file, opened by the page."""
        self.opened.append(open(self.path, "rb"))  # noqa: SIM115
        return static.serve_fileobj(self.opened[-1], "text/plain")

    @cherrypy.expose
    def packed(self) -> Any:
        """What is inside a packed file."""
        return static.serve_fileobj(gzip.open(f"{self.path}.gz"), "text/plain")

    @cherrypy.expose
    def temporary(self) -> Any:
        """A temporary file."""
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115
        file.write(CONTENT)
        file.seek(0)
        return static.serve_fileobj(file, "text/plain")

    @cherrypy.expose
    def pipe(self) -> Any:
        """A pipe, whose length nobody knows."""
        reader, writer = os.pipe()
        os.write(writer, CONTENT)
        os.close(writer)
        return static.serve_fileobj(os.fdopen(reader, "rb"), "text/plain")

    @cherrypy.expose
    def bare(self) -> Any:
        """An object that can be read, and nothing else."""
        return static.serve_fileobj(type("Bare", (), {"read": io.BytesIO(CONTENT).read})(), "text/plain")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with one old file."""
    inside = tmp_path / "static"
    inside.mkdir()
    (inside / "a.txt").write_bytes(CONTENT)
    os.utime(inside / "a.txt", (MODIFIED, MODIFIED))
    with gzip.open(inside / "a.txt.gz", "wb") as packed:
        packed.write(CONTENT * 100)
    return inside


@pytest.fixture
def browser(serve: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A site that is that directory, with the pages under it."""
    monkeypatch.setattr(Root, "path", str(folder / "a.txt"))
    monkeypatch.setattr(Root, "opened", [])
    return serve(Root(), staticdir__on=True, staticdir__dir=str(folder))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": TAG, "If-Unmodified-Since": OLD}, 200),
        ({"If-Match": '"x"', "If-None-Match": TAG}, 412),
        ({"If-Unmodified-Since": OLD, "If-None-Match": TAG}, 412),
        ({"If-Unmodified-Since": OLD, "If-Modified-Since": SAME}, 412),
        ({"If-None-Match": '"x"', "If-Modified-Since": SAME}, 200),
        ({"If-None-Match": TAG, "If-Modified-Since": OLD}, 304),
        ({"If-None-Match": f'"x", W/{TAG}'}, 304),
        ({"If-Match": f"W/{TAG}"}, 412),
        ({"If-Match": f'"x", {TAG}'}, 200),
        ({"If-Modified-Since": NEW}, 304),
        ({"If-Modified-Since": OLD}, 200),
        ({"If-Match": TAG, "If-None-Match": '"x"', "Range": "bytes=0-1"}, 206),
        ({"If-None-Match": TAG, "Range": "bytes=0-1"}, 304),
        ({"If-Match": '"x"', "Range": "bytes=99-"}, 412),
    ],
)
def test_preconditions_are_looked_at_in_the_order_of_the_standard(
    browser: Any, headers: dict[str, str], status: int
) -> None:
    """RFC 9110, 13.2.2."""
    assert browser("/a.txt", headers=headers).status == status


def test_a_not_modified_answer_has_the_tag_and_no_body(browser: Any) -> None:
    """RFC 9110, 15.4.5."""
    answer = browser("/a.txt", headers={"If-None-Match": TAG})

    assert (answer.status, answer.body, answer.headers["Etag"]) == (304, b"", TAG)
    assert "Content-Length" not in answer.headers


def test_the_etags_tool_does_not_look_again(serve: Callable[..., Any], folder: Path) -> None:
    """The file's tag is the page's."""
    browser = serve(Root(), etags__on=True, etags__autotags=True, staticdir__on=True, staticdir__dir=str(folder))

    assert browser("/a.txt").headers["Etag"] == TAG
    assert browser("/a.txt", headers={"If-None-Match": TAG}).status == 304


@pytest.mark.parametrize(
    ("if_range", "status"),
    [(TAG, 206), (SAME, 206), (f"W/{TAG}", 200), ('"x"', 200), (OLD, 200), (NEW, 200), ("junk", 200), ("", 206)],
)
def test_if_range_sends_a_slice_only_of_the_same_file(browser: Any, if_range: str, status: int) -> None:
    """Strong validators only, and exactly the same date."""
    assert browser("/a.txt", headers={"Range": "bytes=2-3", "If-Range": if_range}).status == status


def test_a_date_of_this_very_second_is_not_trusted_by_if_range(browser: Any, folder: Path) -> None:
    """The file may have changed twice in it."""
    now = cherrypy.response.time + 3600
    os.utime(folder / "a.txt", (now, now))

    assert browser("/a.txt", headers={"Range": "bytes=2-3", "If-Range": HTTPDate(now)}).status == 200


@pytest.mark.parametrize("path", ["/packed", "/temporary", "/pipe", "/bare", "/fileobj"])
@pytest.mark.parametrize("asked", [None, "bytes=2-3", "bytes=0-0,9-9", "bytes=5000-"])
def test_ranges_of_file_objects_are_never_an_internal_error(browser: Any, path: str, asked: str | None) -> None:
    """A slice if the object has a length, the whole if it has none; never cut short."""
    whole = CONTENT * 100 if path == "/packed" else CONTENT
    answer = browser(path, headers={"Range": asked} if asked else {})
    has_length = path not in ("/pipe", "/bare")

    if asked is None or not has_length:
        assert (answer.status, answer.body) == (200, whole)
    elif asked == "bytes=2-3":
        assert (answer.status, answer.body) == (206, b"23")
    else:
        assert answer.status == (416 if asked == "bytes=5000-" else 206)


@pytest.mark.parametrize(
    "headers",
    [{}, {"If-Modified-Since": SAME}, {"If-Unmodified-Since": OLD}, {"Range": "bytes=99-"}, {"Range": "bytes=0-1,3-4"}],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("read", [True, False])
def test_a_file_that_a_page_opened_is_closed_whatever_is_answered(
    browser: Any, method: str, headers: dict[str, str], read: bool
) -> None:
    """Descriptors must not wait for the garbage collector."""
    browser("/fileobj", method, headers, read=read)

    assert [file.closed for file in Root.opened] == [True]


def test_bodies_are_closed_before_and_after_their_end() -> None:
    """Begun, finished, or never begun."""

    def ranges() -> RangesBody:
        return RangesBody(io.BytesIO(CONTENT), [b"<", b"|"], [(1, 2), (5, 1)], b">")

    whole, begun, unused, slice_ = ranges(), ranges(), ranges(), FileBody(io.BytesIO(CONTENT), 0, 10, 4)
    content = b"".join(whole)
    first = next(begun)
    begun.close()
    unused.close()

    assert (content, first) == (b"<12|5>", b"<")
    assert b"".join(slice_) == CONTENT
    assert all(body.input.closed for body in (whole, begun, unused, slice_))


def test_a_refused_link_says_which_setting_would_serve_it(
    browser: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client only hears 403."""
    (folder.parent / "outside").write_text("outside")
    os.symlink(folder.parent / "outside", folder / "link")
    with caplog.at_level(logging.WARNING):
        status = browser("/link").status

    assert status == 403
    assert "tools.staticdir.follow_symlinks = True" in caplog.text


def test_a_linked_directory_is_a_way_out_only_by_configuration(serve: Callable[..., Any], folder: Path) -> None:
    """Also for what is below it, and for its index."""
    (folder.parent / "shared").mkdir()
    (folder.parent / "shared" / "index.html").write_text("shared")
    os.symlink(folder.parent / "shared", folder / "shared")
    settings = {"staticdir__on": True, "staticdir__dir": str(folder), "staticdir__index": "index.html"}
    closed, opened = serve(Root(), **settings), serve(Root(), **settings, staticdir__follow_symlinks=True)

    assert [closed(path).status for path in ("/shared/", "/shared/index.html")] == [403, 403]
    assert [opened(path).body for path in ("/shared/", "/shared/index.html")] == [b"shared", b"shared"]


@pytest.mark.parametrize("where", [Path, str])
def test_directories_may_be_path_objects(serve: Callable[..., Any], folder: Path, where: Callable[..., Any]) -> None:
    """``dir`` and ``root``, ``filename``, as ``os.path`` takes them; '~' is the home."""
    rooted = serve(Root(), staticdir__on=True, staticdir__dir=where("static"), staticdir__root=where(folder.parent))
    single = serve(Root(), staticfile__on=True, staticfile__filename=where(folder / "a.txt"))

    assert rooted("/a.txt").body == single("/").body == CONTENT


def test_the_home_directory_is_expanded(
    serve: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tools.staticdir.dir = '~/static'``."""
    monkeypatch.setenv("HOME", str(folder.parent))

    assert serve(Root(), staticdir__on=True, staticdir__dir="~/static")("/a.txt").body == CONTENT


def test_the_tools_are_pages_too(serve: Callable[..., Any], folder: Path) -> None:
    """``.handler()``: 404 for what is not there."""
    root = Root()
    root.files = cherrypy.tools.staticdir.handler(section="/files", dir=str(folder))  # type: ignore[attr-defined]
    root.one = cherrypy.tools.staticfile.handler(filename=str(folder / "a.txt"))  # type: ignore[attr-defined]
    browser = serve(root)

    assert browser("/files/a.txt").body == browser("/one").body == CONTENT
    assert browser("/files/absent").status == 404


SEGMENTS = [
    "..", ".", "%2e%2e", "%2E.", "%252e%252e", "static", "static-secret", "a.txt", "sub", "%00", "..%00", "%5c..", "~",
    "..;", "",
]  # fmt: skip
SLASHES = ["/", "%2f", "%2F", "//", "%5c", "\\"]


@pytest.mark.parametrize("seed", range(20))
def test_no_combination_of_segments_leaves_the_directory(
    serve: Callable[..., Any], folder: Path, tmp_path: Path, seed: int
) -> None:
    """SECURITY: a thousand paths of all that has ever led out of a directory."""
    for outside in (tmp_path, tmp_path / "static-secret"):
        outside.mkdir(exist_ok=True)
        (outside / "b.txt").write_text("secret")
    browser = serve(Root(), staticdir__on=True, staticdir__dir=str(folder), staticdir__follow_symlinks=bool(seed % 2))
    chance = random.Random(seed)
    for _ in range(50):
        pairs = [chance.choice(SLASHES) + chance.choice(SEGMENTS) for _ in range(chance.randint(1, 5))]
        path = "/" + "".join(pairs).lstrip("/") + chance.choice(SLASHES) + "b.txt"
        answer = browser(path)
        assert answer.body != b"secret", path
        assert answer.status in (200, 301, 303, 400, 403, 404), path
