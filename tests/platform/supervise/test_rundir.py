"""The run directory: ours, with the modes that let nginx in and nobody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kirsch.errors import SuperviseError
from kirsch.spec import HostPaths
from kirsch.supervise.rundir import RunDir


def make(tmp_path: Path, user: str | None = None) -> RunDir:
    return RunDir(HostPaths(root=str(tmp_path / "root"), run=str(tmp_path / "above/run")), user)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_folders_are_ours_alone(tmp_path: Path) -> None:
    """Without another user for nginx nobody else may enter."""
    made = make(tmp_path)
    made.prepare()

    assert {mode(made.paths.run), mode(made.paths.slots), mode(made.paths.workers)} == {0o700}
    assert os.path.isdir(made.paths.log_dir)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a socket to another group")
def test_nginx_gets_in_as_another_user(tmp_path: Path) -> None:
    """Folders can be traversed but not listed; sockets belong to nginx's group."""
    made = make(tmp_path, "nobody")
    made.prepare()
    socket = tmp_path / "w.sock"
    socket.touch(0o600)
    made.admit_nginx(str(socket))

    assert {mode(made.paths.run), mode(made.paths.slots), mode(made.paths.workers)} == {0o711}
    assert mode(socket) == 0o660
    assert os.stat(socket).st_gid != 0


def test_workers_of_other_users_can_bind(tmp_path: Path) -> None:
    """Sticky, so that they cannot touch each other's sockets."""
    made = make(tmp_path)
    made.prepare(has_pool_users=True)

    assert mode(made.paths.workers) == 0o1733


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """In a shared /tmp anybody may have made it before us."""
    made = make(tmp_path)
    os.makedirs(made.paths.run)
    os.chmod(made.paths.run, 0o777)

    with pytest.raises(SuperviseError, match="written by others"):
        made.prepare()


def test_a_link_is_refused(tmp_path: Path) -> None:
    """A run directory that leads elsewhere is a trap."""
    made = make(tmp_path)
    os.makedirs(tmp_path / "above")
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", made.paths.run)

    with pytest.raises(SuperviseError, match="not ours"):
        made.prepare()


def test_removing_leaves_what_others_put_there(tmp_path: Path) -> None:
    """Slots, workers and boards go; the state file is the deploy's."""
    made = make(tmp_path)
    made.prepare()
    for name in ("slots/a", "workers/b", "web.board", "stack.json"):
        Path(made.paths.run, name).touch()
    made.remove()

    assert os.listdir(made.paths.run) == ["stack.json"]
