"""Opening files, and telling where they really are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cherrypy.lib import diskfiles

Where = Callable[[str, str], bool | None]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A directory with a file and a folder, beside others, and a link to it."""
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (tmp_path / "top-secret").mkdir()
    for path in ("top/a", "top/sub/b", "top-secret/c", "outside"):
        (tmp_path / path).write_text(path)
    (tmp_path / "current").symlink_to(top)
    (top / "out").symlink_to(tmp_path / "outside")
    (top / "dangling").symlink_to(tmp_path / "nothing")
    (top / "away").symlink_to(tmp_path / "top-secret")
    (top / "inner").symlink_to(top / "a")
    return top


@pytest.fixture
def where(top: Path) -> Iterator[Where]:
    """Opens a file and says whether it is at the top given."""
    opened: list[int] = []

    def ask(path: str, top_of_it: str) -> bool | None:
        opened.append(os.open(path, os.O_RDONLY))
        return diskfiles.is_at(opened[-1], path, top_of_it)

    yield ask
    for descriptor in opened:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("top/a", True),
        ("top/sub/b", True),
        ("top/inner", True),
        ("top/./sub/../a", True),
        ("current/a", True),
        ("top", True),
        ("top/out", False),
        ("top/away/c", False),
        ("top-secret/c", False),
        ("outside", False),
    ],
)
def test_a_file_is_where_its_real_path_is(where: Where, top: Path, path: str, expected: bool) -> None:
    """Whatever it was called when it was opened, and whether the directory is named by its real path or by a link."""
    full = str(top.parent / path)

    assert where(full, str(top)) is expected
    assert where(full, str(top.parent / "current")) is expected
    assert where(full, str(top) + "/") is expected


def test_a_top_that_goes_up_through_a_link_is_its_real_place(where: Where, top: Path) -> None:
    """SECURITY: text alone says that /x/link/../y is /x/y; it is beside what the link leads to."""
    elsewhere = top.parent / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "top").mkdir()
    (top.parent / "link").symlink_to(elsewhere / "deep")

    assert where(str(top / "a"), str(top.parent / "link" / ".." / "top")) is False


def test_without_the_system_s_word_nothing_is_told(where: Where, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc is not mounted, or on another system."""

    def readlink(path: str) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "readlink", readlink)

    assert where(str(top / "a"), str(top)) is None
    assert diskfiles.is_certainly_at(str(top / "a"), str(top)) is False


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", True), ("a", True), ("sub", True), ("sub/", True), ("absent", True), ("sub/absent", True),
        ("inner", True), ("out", False), ("dangling", False), ("away", False), ("away/c", False),
        ("away/absent", False), ("absent/below", False), ("a/below", False), ("\0", False), ("x" * 5000, False),
        ("\udcff", True), ("\ud800", False),
    ],
)  # fmt: skip
def test_what_is_not_there_would_be_where_its_directory_is(top: Path, path: str, expected: bool) -> None:
    """Only if that is sure: a link that leads nowhere leads somewhere tomorrow."""
    assert diskfiles.is_certainly_at(f"{top}/{path}", str(top)) is expected


@pytest.mark.parametrize("path", ["/", "/usr", "/usr/lib/x"])
def test_everything_is_below_the_root(path: str) -> None:
    """Its separator is its name."""
    assert diskfiles.is_below(path, "/")


def test_containment_ends_at_a_separator() -> None:
    """SECURITY: /srv/static-secret is not in /srv/static."""
    assert not diskfiles.is_below("/srv/static-secret/x", "/srv/static")
    assert not diskfiles.is_below("/srv", "/srv/static")


def test_only_regular_files_are_opened(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY: opening a device may do something: it is not even tried."""
    os.mkfifo(top / "pipe")
    opened: list[str] = []
    monkeypatch.setattr(os, "open", lambda path, flags: opened.append(path))

    for path in (str(top), str(top / "pipe"), "/dev/null", str(top / "absent")):
        with pytest.raises(FileNotFoundError):
            diskfiles.open_regular(path)
    assert opened == []


def test_a_file_that_becomes_something_else_is_closed_again(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY: between looking and opening the name may be given to something else."""
    real_open = os.open

    def open_late(path: str, flags: int) -> int:
        (top / "a").unlink()
        os.mkfifo(top / "a")
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", open_late)
    before = os.listdir("/proc/self/fd")

    with pytest.raises(FileNotFoundError):
        diskfiles.open_regular(str(top / "a"))
    assert os.listdir("/proc/self/fd") == before


def test_descriptors_are_not_inherited(top: Path) -> None:
    """A program that a page starts must not have them."""
    descriptor, status = diskfiles.open_regular(str(top / "a"))
    inheritable = os.get_inheritable(descriptor)
    os.close(descriptor)

    assert not inheritable
    assert status.st_size == 5


def test_a_descriptor_becomes_a_file_of_its_name(top: Path) -> None:
    """As ``open`` makes it."""
    path = str(top / "a")
    with diskfiles.buffered(diskfiles.open_regular(path)[0], path) as file:
        assert (file.name, file.mode, file.read()) == (path, "rb", b"top/a")


def test_a_descriptor_that_cannot_become_a_file_is_closed(top: Path) -> None:
    """A directory, say."""
    descriptor = os.open(top, os.O_RDONLY)

    with pytest.raises(IsADirectoryError):
        diskfiles.buffered(descriptor, str(top))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_file_is_read_whole_or_not_at_all(top: Path) -> None:
    """One that has become shorter would not fill its Content-Length."""
    descriptor, _ = diskfiles.open_regular(str(top / "a"))
    try:
        assert diskfiles.read_whole(descriptor, 5) == b"top/a"
        assert diskfiles.read_whole(descriptor, 6) is None
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
    finally:
        os.close(descriptor)
