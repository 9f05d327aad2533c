"""Which files make a release, and when two of them are the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kirsch.errors import DeployError
from kirsch.release.snapshot import DEFAULT_IGNORES, is_ignored, take_snapshot


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small tree."""
    (tmp_path / "shop" / "static").mkdir(parents=True)
    (tmp_path / "kirsch.toml").write_text("[stack]\n")
    (tmp_path / "shop" / "web.py").write_text("x = 1\n")
    (tmp_path / "shop" / "static" / "a.css").write_text("a {}\n")
    return tmp_path


def names(source: Path) -> list[str]:
    """The paths of a snapshot."""
    return [entry.path for entry in take_snapshot(source).entries]


def test_content_and_names_make_the_hash(source: Path) -> None:
    """Same content: same hash, whatever the times; other content, name or mode: another."""
    first = take_snapshot(source).digest
    os.utime(source / "kirsch.toml", (1, 1))
    assert take_snapshot(source).digest == first

    (source / "kirsch.toml").chmod(0o755)
    second = take_snapshot(source).digest
    (source / "shop" / "web.py").write_text("x = 2\n")

    assert len({first, second, take_snapshot(source).digest}) == 3


def test_what_nobody_deploys_is_left_out(source: Path) -> None:
    """Version control, caches and environments stay behind."""
    for name in (".git", "__pycache__", ".venv", "node_modules", ".kirsch"):
        (source / name).mkdir()
        (source / name / "file").write_text("")
    (source / "shop" / "web.pyc").write_text("")

    assert names(source) == ["kirsch.toml", "shop/static/a.css", "shop/web.py"]


def test_own_ignores(source: Path) -> None:
    """A line of .kirschignore leaves out by name, by path from the top, or a directory."""
    (source / "shop" / "notes.txt").write_text("")
    (source / "data").mkdir()
    (source / "data" / "big").write_text("")
    (source / ".kirschignore").write_text("# ours\n*.txt\n/shop/static\ndata/\n.kirschignore\n")

    assert names(source) == ["kirsch.toml", "shop/web.py"]


@pytest.mark.parametrize(
    ("path", "is_directory", "ignored"),
    [
        ("build/", False, False),
        ("venv", True, True),
        ("venv", False, False),
        ("docs/venv", True, True),
        ("shop/environment", True, False),
        ("a.pyo", False, True),
        ("a.pyx", False, False),
    ],
)
def test_default_patterns(path: str, is_directory: bool, ignored: bool) -> None:
    """What is left out, and what looks like it but is not."""
    assert is_ignored(path, is_directory=is_directory, patterns=DEFAULT_IGNORES) is ignored


def test_link_out_of_the_tree_is_refused(source: Path) -> None:
    """A release would hold a link to a file that the host does not have."""
    (source / "outside").symlink_to("/etc/hostname")

    with pytest.raises(DeployError, match="outside"):
        take_snapshot(source)


def test_link_within_the_tree_stays_a_link(source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Links inside are kept as they are."""
    (source / "latest").symlink_to("shop/web.py")
    place = tmp_path_factory.mktemp("copy") / "release"
    take_snapshot(source).copy_to(place)

    assert os.readlink(place / "latest") == "shop/web.py"
    assert (place / "latest").read_text() == "x = 1\n"


def test_file_that_changes_meanwhile_is_an_error(source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is deployed is what was hashed, or nothing."""
    snapshot = take_snapshot(source)
    (source / "shop" / "web.py").write_text("x = 3\n")

    with pytest.raises(DeployError, match="changed while"):
        snapshot.copy_to(tmp_path_factory.mktemp("copy"))


def test_root_inside_the_tree_is_left_out(source: Path) -> None:
    """The releases of a local deploy do not become part of the next one."""
    (source / "target").mkdir()
    (source / "target" / "file").write_text("")

    assert "target/file" not in [entry.path for entry in take_snapshot(source, leave_out=source / "target").entries]
