"""Files as pages."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.http.dates import HTTPDate
from cherrypy.lib import static

CONTENT = bytes(range(256)) * 8


class Root:
    """A page under the static files, for what they do not answer."""

    @cherrypy.expose
    def default(self, *path: str) -> str:
        """Say that no file was served."""
        return "dynamic"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with files, and a sibling of a similar name."""
    inside = tmp_path / "static"
    (inside / "sub").mkdir(parents=True)
    (inside / "a.bin").write_bytes(CONTENT)
    (inside / "page.html").write_text("<p>page</p>")
    (inside / "f\xfcr.txt").write_text("umlaut")
    (inside / "sub" / "index.html").write_text("index")
    (tmp_path / "static-secret").mkdir()
    (tmp_path / "static-secret" / "b.txt").write_text("secret")
    (tmp_path / "outside.txt").write_text("outside")
    return inside


@pytest.fixture
def browser(serve: Callable[..., Any], folder: Path) -> Any:
    """A site that is that directory."""
    return serve(Root(), staticdir__on=True, staticdir__dir=str(folder), staticdir__index="index.html")


def test_a_file_is_served_with_its_type_and_validators(browser: Any) -> None:
    """Length, date, tag, and that ranges are welcome."""
    answer = browser("/page.html")

    assert (answer.status, answer.body) == (200, b"<p>page</p>")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Content-Length"] == "11"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert {"Last-Modified", "Etag"} <= answer.headers.keys()


def test_names_are_decoded_once(browser: Any, folder: Path) -> None:
    """A percent sign in a name is a percent sign."""
    (folder / "100%41.txt").write_text("percent")

    assert browser("/f%C3%BCr.txt").body == b"umlaut"
    assert browser("/100%2541.txt").body == b"percent"
    assert browser("/sub%2Findex.html").body == b"index"


@pytest.mark.parametrize(
    "path",
    [
        "/..%2fstatic-secret/b.txt", "/../static-secret/b.txt", "/..%2Foutside.txt", "/../outside.txt",
        "/sub/../../outside.txt", "/%2e%2e/outside.txt", "/sub/..%2F..%2Foutside.txt", "/..%2F..%2F..%2Fetc%2Fpasswd",
    ],
)  # fmt: skip
def test_no_path_leaves_the_directory(browser: Any, path: str) -> None:
    """SECURITY: a sibling whose name begins alike is outside too."""
    assert browser(path).status in (403, 404)
    assert b"secret" not in browser(path).body


def test_double_encoding_leads_nowhere(browser: Any) -> None:
    """SECURITY: %252e is the text '%2e', not a dot."""
    assert browser("/%252e%252e/outside.txt").body == b"dynamic"


def test_links_out_of_the_directory_need_permission(serve: Callable[..., Any], folder: Path) -> None:
    """SECURITY: an uploaded or unpacked link must not open the disk; links inside are fine."""
    os.symlink(folder.parent / "outside.txt", folder / "link.txt")
    os.symlink(folder / "page.html", folder / "inner.html")
    closed = serve(Root(), staticdir__on=True, staticdir__dir=str(folder))
    opened = serve(Root(), staticdir__on=True, staticdir__dir=str(folder), staticdir__follow_symlinks=True)

    assert closed("/link.txt").status == 403
    assert closed("/inner.html").status == 200
    assert opened("/link.txt").body == b"outside"


def test_the_directory_itself_may_be_a_link(serve: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    """Releases are switched by links."""
    os.symlink(folder, tmp_path / "current")
    browser = serve(Root(), staticdir__on=True, staticdir__dir=str(tmp_path / "current"))

    assert browser("/page.html").status == 200


@pytest.mark.parametrize("path", ["/%00", "/" + "x" * 5000, "/page.html/x", "/%FF%FE", "/sub"])
def test_names_no_file_can_have_go_to_the_page(browser: Any, path: str) -> None:
    """NUL, too long, below a file, not encodable: never a 500."""
    assert browser(path).status in (200, 301, 303, 404)


def test_only_regular_files_are_served(browser: Any, folder: Path) -> None:
    """SECURITY: a FIFO would hold the thread for ever."""
    os.mkfifo(folder / "pipe")

    assert browser("/pipe").body == b"dynamic"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_forbidden(browser: Any, folder: Path) -> None:
    """Not an internal error."""
    (folder / "page.html").chmod(0)

    assert browser("/page.html").status == 403


def test_an_index_needs_its_slash(browser: Any) -> None:
    """So that relative links in it work."""
    assert browser("/sub/").body == b"index"
    assert browser("/sub").status == 301
    assert browser("/sub").headers["Location"].endswith("/sub/")


def test_other_methods_go_to_the_page(browser: Any) -> None:
    """A file is only for reading."""
    assert browser("/page.html", "POST", body=b"").body == b"dynamic"
    assert browser("/page.html", "HEAD").body == b""


def test_match_and_content_types(serve: Callable[..., Any], folder: Path) -> None:
    """Only matching paths are looked at, and types can be given."""
    browser = serve(
        Root(), staticdir__on=True, staticdir__dir=str(folder), staticdir__match=r"\.bin$",
        staticdir__content_types={"bin": "x/y"},
    )  # fmt: skip

    assert browser("/a.bin").headers["Content-Type"] == "x/y"
    assert browser("/page.html").body == b"dynamic"


def test_a_relative_directory_needs_a_root(serve: Callable[..., Any], folder: Path) -> None:
    """Said aloud, not served from wherever the process stands."""
    config = {"staticdir__on": True, "staticdir__dir": "static"}

    assert serve(Root(), **config)("/page.html").status == 500
    assert serve(Root(), **config, staticdir__root=str(folder.parent))("/page.html").status == 200


def test_a_single_file(serve: Callable[..., Any], folder: Path) -> None:
    """``staticfile``, absolute and by its root."""
    whole = serve(Root(), staticfile__on=True, staticfile__filename=str(folder / "a.bin"))
    rooted = serve(Root(), staticfile__on=True, staticfile__filename="a.bin", staticfile__root=str(folder))
    absent = serve(Root(), staticfile__on=True, staticfile__filename=str(folder / "no"))
    relative = serve(Root(), staticfile__on=True, staticfile__filename="a.bin")

    assert whole("/").body == rooted("/").body == CONTENT
    assert absent("/").body == b"dynamic"
    assert relative("/").status == 500


@pytest.mark.parametrize(("asked", "start", "stop"), [("0-9", 0, 10), ("-5", 2043, 2048), ("2040-", 2040, 2048)])
def test_one_range(browser: Any, asked: str, start: int, stop: int) -> None:
    """206 with its place in the whole."""
    answer = browser("/a.bin", headers={"Range": f"bytes={asked}"})

    assert (answer.status, answer.body) == (206, CONTENT[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/2048"
    assert answer.headers["Content-Length"] == str(stop - start)


def test_several_ranges(browser: Any) -> None:
    """multipart/byteranges, with a length that is right."""
    answer = browser("/a.bin", headers={"Range": "bytes=0-1,10-12"})
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
    parts = answer.body.split(b"--" + boundary)

    assert answer.status == 206
    assert len(answer.body) == int(answer.headers["Content-Length"])
    assert parts[1].endswith(b"Content-range: bytes 0-1/2048\r\n\r\n" + CONTENT[:2] + b"\r\n")
    assert parts[2].endswith(CONTENT[10:13] + b"\r\n")
    assert parts[3] == b"--\r\n"


@pytest.mark.parametrize("value", ["bytes=abc", "bytes", "lines=1-2", "bytes=5-2", "bytes=0-,0-"])
def test_malformed_ranges_get_the_whole(browser: Any, value: str) -> None:
    """They used to be internal errors."""
    assert browser("/a.bin", headers={"Range": value}).body == CONTENT


def test_a_range_outside_is_416(browser: Any) -> None:
    """With the length, so that the client can ask again."""
    answer = browser("/a.bin", headers={"Range": "bytes=5000-"})

    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */2048")


def test_ranges_are_for_get(browser: Any) -> None:
    """RFC 9110, 14.2."""
    assert browser("/a.bin", "HEAD", headers={"Range": "bytes=0-1"}).status == 200


def test_if_range_guards_a_download_that_goes_on(browser: Any, folder: Path) -> None:
    """A slice of a changed file would be spliced into the old one."""
    os.utime(folder / "a.bin", (1000, 1000))
    known = browser("/a.bin").headers

    def ask(if_range: str) -> int:
        return int(browser("/a.bin", headers={"Range": "bytes=0-1", "If-Range": if_range}).status)

    assert ask(known["Etag"]) == ask(known["Last-Modified"]) == 206
    assert ask('"other"') == ask("W/" + known["Etag"]) == ask("junk") == ask(HTTPDate(0)) == 200


def test_the_client_copy_is_not_sent_again(browser: Any) -> None:
    """By tag or by date, also a later date in an old form."""
    known = browser("/a.bin").headers

    assert browser("/a.bin", headers={"If-None-Match": known["Etag"]}).status == 304
    assert browser("/a.bin", headers={"If-None-Match": "W/" + known["Etag"]}).status == 304
    assert browser("/a.bin", headers={"If-Modified-Since": known["Last-Modified"]}).status == 304
    assert browser("/a.bin", headers={"If-Modified-Since": "Sunday, 06-Nov-44 08:49:37 GMT"}).status == 304
    assert browser("/a.bin", headers={"If-Modified-Since": "junk"}).status == 200
    assert browser("/a.bin", headers={"If-Unmodified-Since": HTTPDate(0)}).status == 412
    assert browser("/a.bin", headers={"If-Match": '"other"'}).status == 412


class Files:
    """Pages that serve files themselves."""

    path: str

    def __init__(self, path: str) -> None:
        self.path = path

    @cherrypy.expose
    def memory(self) -> Any:
        """A file in memory, read from its middle."""
        file = io.BytesIO(b"0123456789")
        file.seek(2)
        return static.serve_fileobj(file, content_type="text/plain")

    @cherrypy.expose
    def stream(self) -> Any:
        """Something whose length nobody knows."""

        class Endless:
            data = [b"a", b"b"]

            def read(self, size: int) -> bytes:
                return self.data.pop() if self.data else b""

        return static.serve_fileobj(Endless(), "text/plain", disposition="attachment", name="x.txt")

    @cherrypy.expose
    def download(self) -> Any:
        """A file to keep."""
        return static.serve_download(self.path, "n\xe4me.bin")

    @cherrypy.expose
    def relative(self) -> Any:
        """A mistake."""
        return static.serve_file("a.bin")

    @cherrypy.expose
    def body(self) -> Any:
        """What the server gets to see."""
        body = static.serve_file(self.path)
        text = f"{body.input.name} {body.offset} {body.count}"
        body.close()
        assert body.input.closed
        cherrypy.response.headers.pop("Content-Length")
        return text.encode()


def test_file_objects_are_served_from_where_they_stand(serve: Callable[..., Any], folder: Path) -> None:
    """With ranges if their length can be known; without one otherwise."""
    browser = serve(Files(str(folder / "a.bin")))

    assert browser("/memory").body == b"23456789"
    assert browser("/memory", headers={"Range": "bytes=1-2"}).body == b"34"
    assert browser("/memory", headers={"Range": "bytes=0-0,7-"}).status == 206
    assert browser("/stream", headers={"Range": "bytes=1-2"}).body == b"ba"
    assert browser("/stream").headers["Content-Disposition"] == 'attachment; filename="x.txt"'


def test_a_download_has_a_name_and_a_type_of_its_own(serve: Callable[..., Any], folder: Path) -> None:
    """Names beyond ASCII come twice."""
    headers = serve(Files(str(folder / "a.bin")))("/download").headers

    assert headers["Content-Type"] == "application/x-download"
    assert headers["Content-Disposition"] == "attachment; filename=\"name.bin\"; filename*=UTF-8''n%C3%A4me.bin"


def test_the_body_says_which_slice_of_which_file_it_is(serve: Callable[..., Any], folder: Path) -> None:
    """So that a server can send it without reading it."""
    path = str(folder / "a.bin")

    assert serve(Files(path))("/body").body == f"{path} 0 2048".encode()
    assert serve(Files(path))("/relative").status == 500


def test_a_file_is_closed_when_the_client_goes(browser: Any, folder: Path) -> None:
    """Descriptors do not pile up."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        browser("/a.bin", read=False)
        browser("/a.bin", headers={"If-None-Match": "*"})
        browser("/a.bin", headers={"Range": "bytes=0-1,5-6"}, read=False)

    assert len(os.listdir("/proc/self/fd")) <= before
