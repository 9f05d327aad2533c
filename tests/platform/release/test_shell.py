"""What a shell promises, tried on this machine."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from kirsch.errors import DeployError
from kirsch.release.shell import LocalShell

SHELL = LocalShell()


def test_program_that_does_not_exist_is_no_exception() -> None:
    """Status 127 and the reason, as a shell would say."""
    ran = SHELL.run(["/nonexistent/program"])

    assert ran.status == 127
    assert "No such file" in ran.output


def test_output_comes_line_by_line_and_whole() -> None:
    """A listener hears each line, the result has both streams in order."""
    heard: list[str] = []
    ran = SHELL.run(["/bin/sh", "-c", "echo one; echo two >&2; exit 3"], listener=heard.append)

    assert heard == ["one", "two"]
    assert (ran.status, ran.output) == (3, "one\ntwo\n")


def test_missing_files_read_as_none(tmp_path: Path) -> None:
    """No file, no link, no directory: no exception."""
    assert SHELL.read(f"{tmp_path}/none") is None
    assert SHELL.read_link(f"{tmp_path}/none") is None
    assert SHELL.list(f"{tmp_path}/none") == ()
    assert not SHELL.rename(f"{tmp_path}/none", f"{tmp_path}/other")
    SHELL.remove(f"{tmp_path}/none")


def test_create_refuses_a_name_that_is_taken(tmp_path: Path) -> None:
    """The second of two creators loses, and the first one's content stays."""
    path = f"{tmp_path}/lock"

    assert SHELL.create(path, b"first")
    assert not SHELL.create(path, b"second")
    assert SHELL.read(path) == b"first"
    assert SHELL.list(str(tmp_path)) == ("lock",)


def test_link_is_replaced_in_place(tmp_path: Path) -> None:
    """The link exists at every instant, and nothing else is left beside it."""
    path = f"{tmp_path}/current"
    SHELL.link(path, "releases/1")
    SHELL.link(path, "releases/2")

    assert SHELL.read_link(path) == "releases/2"
    assert SHELL.list(str(tmp_path)) == ("current",)


def test_written_file_has_its_mode(tmp_path: Path) -> None:
    """Secrets are never readable by others, not even while they are written."""
    SHELL.write(f"{tmp_path}/state", b"{}", mode=0o600)

    assert os.stat(tmp_path / "state").st_mode & 0o777 == 0o600


def test_put_keeps_modes_and_links(tmp_path: Path) -> None:
    """A program stays executable, a link a link."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("run.sh")
    SHELL.put(source, f"{tmp_path}/there")

    assert os.access(tmp_path / "there" / "run.sh", os.X_OK)
    assert os.readlink(tmp_path / "there" / "link") == "run.sh"


def test_directory_that_others_may_write_is_not_claimed(tmp_path: Path) -> None:
    """Somebody else could put a socket there."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    with pytest.raises(DeployError, match="mode 777"):
        SHELL.claim_directory(f"{tmp_path}/open")


def test_link_in_the_place_of_a_directory_is_not_claimed(tmp_path: Path) -> None:
    """A link that somebody laid leads elsewhere."""
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to("real")

    with pytest.raises(DeployError):
        SHELL.claim_directory(f"{tmp_path}/run")


def test_spawned_program_outlives_and_logs(tmp_path: Path) -> None:
    """It has a session of its own, its output is in the log, and its death is seen."""
    log = tmp_path / "log"
    code = "import os; print(os.getsid(0) == os.getpid(), flush=True)"
    pid = SHELL.spawn([sys.executable, "-c", code], cwd=str(tmp_path), env={"PATH": os.defpath}, log=str(log))
    deadline = time.monotonic() + 20
    while SHELL.is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not SHELL.is_alive(pid)
    assert log.read_text() == "True\n"
