"""What a host is brought: packed here, unpacked there, named by content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kirsch.errors import DeployError
from kirsch.release import wheel
from kirsch.release.hosts.kit import bring, describe_kit, pack_folder, pack_snapshot
from kirsch.release.hosts.ssh import Ssh
from kirsch.release.snapshot import take_snapshot
from kirsch.spec import Host, Stack


@pytest.fixture
def ssh(tmp_path: Path) -> Ssh:
    """A connection that leads to this machine."""
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nfor last; do :; done\nexec /bin/sh -c "$last"\n')
    program.chmod(0o755)
    return Ssh(Host(name="web1"), str(tmp_path), str(program))


def test_snapshot_comes_as_it_was(ssh: Ssh, stack: Stack, tmp_path: Path) -> None:
    """Names, bytes, executable bits, links and times: the same snapshot is taken there."""
    source = Path(stack.directory)
    (source / "bin").mkdir()
    (source / "bin" / "run").write_text("#!/bin/sh\n")
    (source / "bin" / "run").chmod(0o755)
    (source / "again").symlink_to("bin/run")
    (source / "empty").touch()
    os.utime(source / "empty", (1, 1))
    snapshot = take_snapshot(source)
    bring(ssh, str(tmp_path / "root"), "source-1", pack_snapshot(snapshot))
    there = tmp_path / "root" / "kit" / "source-1"

    assert take_snapshot(there).digest == snapshot.digest
    assert (there / "empty").stat().st_mtime == 1
    assert os.listdir(there.parent) == ["source-1"]


def test_what_is_there_already_stays(ssh: Ssh, tmp_path: Path) -> None:
    """Of two who bring the same at once one comes first; the other's is thrown away."""
    folder, there = tmp_path / "made", tmp_path / "root" / "kit" / "agent-1"
    folder.mkdir()
    (folder / "new").touch()
    there.mkdir(parents=True)
    (there / "old").touch()
    bring(ssh, str(tmp_path / "root"), "agent-1", pack_folder(folder))

    assert os.listdir(there) == ["old"]
    assert os.listdir(there.parent) == ["agent-1"]


def test_what_cannot_be_unpacked_leaves_nothing(ssh: Ssh, tmp_path: Path) -> None:
    """The words of tar are in the error."""
    with pytest.raises(DeployError) as caught:
        bring(ssh, str(tmp_path / "root"), "agent-1", lambda to: to.write(b"no archive") and None)

    assert "agent-1 cannot be brought to" in str(caught.value)
    assert caught.value.output
    assert list((tmp_path / "root" / "kit").iterdir()) == []


def test_parts_are_named_by_what_is_in_them(stack: Stack) -> None:
    """Other code of the stack is another source, other requirements are other wheels, and nothing else."""

    def names() -> tuple[str, ...]:
        return describe_kit(stack, take_snapshot(Path(stack.directory)), wheel.find_source(), with_nginx=False).names

    first = names()
    (Path(stack.directory) / "shop.py").write_text("class Root: new = 1\n")
    second = names()
    (Path(stack.directory) / "requirements.txt").write_text("flask>=3\n")
    third = names()

    assert [one == other for one, other in zip(first, second, strict=True)] == [True, True, False]
    assert [one == other for one, other in zip(second, third, strict=True)] == [True, False, False]
