"""Static files that change while they are served: nobody gets what was there before, or is elsewhere now."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.http.dates import HTTPDate
from cherrypy.lib import diskfiles, static

SMALL, LARGE = static._SMALL_BYTES, static._SMALL_BYTES + 1


class Root:
    """A page under the static files, for what they do not answer."""

    @cherrypy.expose
    def default(self, *path: str) -> str:
        """Say that no file was served."""
        return "dynamic"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a file in a folder."""
    (tmp_path / "top" / "sub").mkdir(parents=True)
    (tmp_path / "top" / "sub" / "a.txt").write_bytes(b"first")
    return tmp_path / "top"


@pytest.fixture
def browser(serve: Callable[..., Any], folder: Path) -> Any:
    """A site that is that directory, and has served the file once."""
    browser = serve(Root(), staticdir__on=True, staticdir__dir=str(folder), staticdir__index="index.html")
    for _ in range(3):
        assert browser("/sub/a.txt").body == b"first"
    return browser


def replace(path: Path, content: bytes) -> None:
    """Put another file in its place, as deployments do."""
    fresh = path.with_name("fresh")
    fresh.write_bytes(content)
    os.utime(fresh, (1000, 1000))
    fresh.rename(path)


def test_a_replaced_file_is_the_new_one(browser: Any, folder: Path) -> None:
    """With its own length, date and tag, also when it is written in place within the same second."""
    replace(folder / "sub" / "a.txt", b"second one")
    second = browser("/sub/a.txt")
    with open(folder / "sub" / "a.txt", "r+b") as file:
        file.write(b"THIRD")
    third = browser("/sub/a.txt")

    assert (second.body, second.headers["Last-Modified"]) == (b"second one", HTTPDate(1000))
    assert (third.body, third.headers["Content-Length"]) == (b"THIRDd one", "10")
    assert third.headers["Etag"] != second.headers["Etag"]


def test_a_removed_file_is_not_there(browser: Any, folder: Path) -> None:
    """Nor one whose directory is gone."""
    (folder / "sub" / "a.txt").unlink()
    without_file = browser("/sub/a.txt").body
    (folder / "sub").rmdir()

    assert without_file == browser("/sub/a.txt").body == b"dynamic"


def test_an_unreadable_file_is_forbidden_at_once(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal is the system's in name only."""
    real_open = os.open

    def refuse(path: str, flags: int) -> int:
        if path.endswith("a.txt") and flags & os.O_NONBLOCK:
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", refuse)

    assert browser("/sub/a.txt").status == 403


@pytest.mark.parametrize("moved", ["sub", "sub/a.txt"])
def test_what_became_a_link_out_is_refused(browser: Any, folder: Path, tmp_path: Path, moved: str) -> None:
    """SECURITY: the very same file, of the same date and number, is outside now."""
    (folder / moved).rename(tmp_path / "moved")
    (folder / moved).symlink_to(tmp_path / "moved")

    assert browser("/sub/a.txt").status == 403


def test_releases_are_switched_by_a_link(serve: Callable[..., Any], tmp_path: Path) -> None:
    """The directory's real place is asked for at each request; a file of the old release is outside of the new one."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "v.txt").write_text(name)
    (tmp_path / "two" / "old.txt").symlink_to(tmp_path / "one" / "v.txt")
    (tmp_path / "current").symlink_to(tmp_path / "one")
    browser = serve(Root(), staticdir__on=True, staticdir__dir=str(tmp_path / "current"))
    before = browser("/v.txt").body
    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").rename(tmp_path / "current")

    assert (before, browser("/v.txt").body) == (b"one", b"two")
    assert browser("/old.txt").status == 403


def test_a_directory_that_became_a_link_is_where_it_leads(browser: Any, folder: Path, tmp_path: Path) -> None:
    """SECURITY: what was its real path does not count any more."""
    folder.rename(tmp_path / "was")
    (tmp_path / "other" / "sub").mkdir(parents=True)
    (tmp_path / "other" / "sub" / "a.txt").symlink_to(tmp_path / "was" / "sub" / "a.txt")
    folder.symlink_to(tmp_path / "other")

    assert browser("/sub/a.txt").status == 403


@pytest.mark.parametrize(
    "absolute", ["{top}-secret/a.txt", "{top}/../top-secret/a.txt", "/etc/hostname", "//etc/hostname"]
)
def test_an_absolute_path_behind_an_encoded_slash_stays_outside(browser: Any, folder: Path, absolute: str) -> None:
    """SECURITY: joined to the directory it would take its place, even if it begins like it."""
    (folder.parent / "top-secret").mkdir()
    (folder.parent / "top-secret" / "a.txt").write_text("secret")
    path = absolute.format(top=folder).replace("/", "%2F")

    assert browser("/" + path).status == 403


def test_an_index_outside_is_refused(serve: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    """Whatever the configuration calls it."""
    (tmp_path / "index.html").write_text("outside")
    for index in ("../index.html", str(tmp_path / "index.html")):
        assert serve(Root(), staticdir__on=True, staticdir__dir=str(folder), staticdir__index=index)("/").status == 403


def test_without_proc_links_are_resolved_step_by_step(
    browser: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On other systems, and in a jail without /proc, containment holds as well."""
    (tmp_path / "outside").write_text("outside")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "inner").symlink_to(folder / "sub" / "a.txt")
    monkeypatch.setattr(diskfiles, "_place_of", lambda descriptor: None)
    monkeypatch.setattr(diskfiles, "_PLACE", 0)

    assert [browser(path).status for path in ("/sub/a.txt", "/inner", "/out")] == [200, 200, 403]
    assert browser("/absent").body == b"dynamic"


def test_a_file_that_moves_while_it_is_opened_is_looked_at_again(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that is switched just then costs nobody an answer; one who never stops trying gets none."""
    verdicts = [False, True]
    monkeypatch.setattr(static, "is_at", lambda *arguments: verdicts.pop(0) if verdicts else False)
    before = len(os.listdir("/proc/self/fd"))

    assert browser("/sub/a.txt").body == b"first"
    assert browser("/sub/a.txt").status == 403
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size", [0, 1, SMALL, LARGE])
def test_small_and_large_files_are_answered_alike(browser: Any, folder: Path, size: int) -> None:
    """Read at once, or sent piece by piece: the same headers, ranges and tags."""
    content = os.urandom(size)
    (folder / "x.bin").write_bytes(content)
    whole, head = browser("/x.bin"), browser("/x.bin", "HEAD")
    known = {"If-None-Match": whole.headers["Etag"]}

    assert whole.body == content
    assert head.body == b""
    assert head.headers == {**whole.headers, "Date": head.headers["Date"]}
    assert (whole.headers["Content-Length"], whole.headers["Accept-Ranges"]) == (str(size), "bytes")
    assert browser("/x.bin", headers=known).status == 304
    if size:
        assert browser("/x.bin", headers={"Range": "bytes=0-0"}).body == content[:1]


def test_a_file_that_shrinks_while_it_is_read_is_no_short_answer(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent as a large one is: the server notices that its length does not come true."""
    monkeypatch.setattr(static, "read_whole", lambda descriptor, size: None)

    assert browser("/sub/a.txt").body == b"first"


def test_a_file_replaced_all_the_time_is_always_one_of_them(browser: Any, folder: Path) -> None:
    """Body, length and tag belong together, in every answer; no descriptor is left."""
    path = folder / "sub" / "a.txt"
    done = threading.Event()

    def keep_replacing() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            replace(path, b"%d;" % turn * (turn % 50 + 1))

    before = len(os.listdir("/proc/self/fd"))
    writer = threading.Thread(target=keep_replacing)
    writer.start()
    try:
        answers = [browser("/sub/a.txt") for _ in range(200)]
    finally:
        done.set()
        writer.join()

    assert {answer.status for answer in answers} == {200}
    for answer in answers:
        assert re.fullmatch(rb"first|(\d+;)\1*", answer.body)
        assert int(answer.headers["Etag"].strip('"').partition("-")[2], 16) == len(answer.body)
    assert len(os.listdir("/proc/self/fd")) == before
