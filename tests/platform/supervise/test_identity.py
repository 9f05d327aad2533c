"""Who the workers are, when the supervisor is root."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import cherrypy
import kirsch
from kirsch.errors import ControlError
from kirsch.nginx.binary import worker_user
from kirsch.supervise.identity import find_closed, identity_of

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may start processes of other users")


def ids(pid: int) -> tuple[int, int, list[int]]:
    """User, group and further groups of a process."""
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return int(lines["Uid"].split()[0]), int(lines["Gid"].split()[0]), [int(text) for text in lines["Groups"].split()]


def test_a_group_alone(host: Any) -> None:
    """The user stays; root's own groups go."""
    host.start(host.state(workers=1, group="daemon"))
    pid = host.wait_until_ready(1)["pools"][0]["workers"][0]["pid"]

    assert ids(pid)[:2] == (0, grp.getgrnam("daemon").gr_gid)
    assert host.get("/")[0] == 200


def test_the_groups_of_another_user() -> None:
    """Never those of the supervisor."""
    user = pwd.getpwnam("nobody")
    daemon = grp.getgrnam("daemon").gr_gid

    assert identity_of("nobody", None)["group"] == user.pw_gid
    assert identity_of("nobody", "daemon") == {
        "user": "nobody",
        "group": daemon,
        "extra_groups": os.getgrouplist("nobody", daemon),
    }
    assert identity_of(None, None) == {}


@pytest.fixture
def open_python() -> Iterator[str]:
    """An interpreter that everybody may run, with what ours has: ours may be below a home that is closed."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    for base in (sys.executable, f"/usr/bin/python{ours}"):
        if os.path.exists(base) and find_closed(base, pwd.getpwnam("nobody")) is None:
            break
    else:
        pytest.skip(f"no Python {ours} on this machine that the user nobody may run")
    folder = tempfile.mkdtemp(prefix="kp", dir="/tmp")
    os.chmod(folder, 0o755)
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
    packages = [os.path.dirname(os.path.dirname(cherrypy.__file__)), os.path.dirname(os.path.dirname(kirsch.__file__))]
    packages.append(os.path.dirname(os.path.dirname(msgspec.__file__)))
    Path(f"{folder}/lib/python{ours}/site-packages/ours.pth").write_text("\n".join(packages))
    yield f"{folder}/bin/python"
    shutil.rmtree(folder)


def test_nobody_said_who(host: Any, open_python: str) -> None:
    """Then it is nginx's user, or kirsch: after a death and a roll, too; and it may write in the shared folder."""
    user = pwd.getpwnam((worker_user() or "").partition(":")[0])
    host.start(msgspec.structs.replace(host.state(workers=1), python=open_python), nginx=True)
    host.wait_until_ready(1, nginx=True)
    first = host.workers()[0]["pid"]
    os.kill(first, signal.SIGKILL)
    host.wait_for(lambda status: status["pools"][0]["workers"][0]["pid"] not in {None, first})
    second = host.wait_until_ready(1, nginx=True)["pools"][0]["workers"][0]["pid"]
    of_second = ids(second)
    host.write(msgspec.structs.replace(host.state("r2", workers=1), python=open_python))
    host.control.call("roll")
    shared = os.stat(host.paths.shared)
    with urllib.request.urlopen(f"http://127.0.0.1:{host.port}/", timeout=10) as answer:
        served = answer.read()

    assert of_second == (user.pw_uid, user.pw_gid, of_second[2])
    assert 0 not in of_second[2]
    assert ids(host.workers()[0]["pid"])[:2] == (user.pw_uid, user.pw_gid)
    assert b"r2" in served
    assert (shared.st_uid, shared.st_gid, shared.st_mode & 0o7777) == (0, user.pw_gid, 0o1775)
    assert host.stop() == 0


def test_what_is_closed_is_named() -> None:
    """The folder that is in the way, also behind a link."""
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="kc", dir="/tmp"))  # pytest's own folders are closed to others
    folder.chmod(0o755)
    secret = folder / "secret"
    (secret / "bin").mkdir(parents=True)
    (secret / "bin" / "python").touch()
    link = folder / "python"
    link.symlink_to(secret / "bin" / "python")
    secret.chmod(0o700)
    found = find_closed(str(link), nobody)
    secret.chmod(0o711)
    then = find_closed(str(link), nobody)
    shutil.rmtree(folder)

    assert found == str(secret)
    assert then is None


def test_what_is_anothers_is_not_given_away(host: Any, open_python: str) -> None:
    """A file in the shared folder that root has written: workers stay root, and the log says how to change that."""
    Path(host.paths.shared, "shop.db").touch(mode=0o644)
    host.start(msgspec.structs.replace(host.state(workers=1), python=open_python), nginx=True)
    pid = host.wait_until_ready(1, nginx=True)["pools"][0]["workers"][0]["pid"]
    log = Path(host.paths.log_dir, "supervisor.log").read_text()

    assert ids(pid)[0] == 0
    assert f"chown -R {(worker_user() or '').partition(':')[0]} {host.paths.shared}/shop.db" in log
    assert os.stat(host.paths.shared).st_mode & 0o7777 == 0o755


def test_user_and_group_of_a_pool(host: Any, open_python: str) -> None:
    """It serves, is counted on the scoreboard, drains and is replaced as any other."""
    group = grp.getgrnam("daemon")
    host.start(msgspec.structs.replace(host.state(workers=1, user="nobody", group="daemon"), python=open_python))
    pid = host.wait_until_ready(1)["pools"][0]["workers"][0]["pid"]
    user = pwd.getpwnam("nobody")

    assert ids(pid)[:2] == (user.pw_uid, group.gr_gid)
    assert 0 not in ids(pid)[2]
    assert host.get("/")[0] == 200
    assert host.workers()[0]["requests"] == 1

    os.kill(pid, signal.SIGKILL)
    status = host.wait_for(lambda status: status["pools"][0]["workers"][0]["pid"] not in {None, pid})
    host.wait_until_ready(1)

    assert ids(status["pools"][0]["workers"][0]["pid"])[0] == user.pw_uid
    assert host.stop() == 0


def test_a_user_that_is_not_there(host: Any) -> None:
    """The roll says who; what was there before serves."""
    host.start(host.state("r1", workers=1))
    host.wait_until_ready(1)
    host.write(host.state("r2", workers=1, user="nobody-at-all"))
    with pytest.raises(ControlError, match="nobody-at-all"):
        host.control.call("roll")

    assert b"r1" in host.get("/")[1]


def test_root_is_told_of(host: Any) -> None:
    """Workers that run as root do so for a reason that the log says; not where the stack says that it is meant."""
    host.release("r1")
    os.chmod(f"{host.paths.releases}/r1", 0o700)
    host.start(host.state(workers=1))
    host.wait_until_ready(1)
    said = Path(host.paths.log_dir, "supervisor.log").read_text()

    assert "workers run as root: " in said
    assert 'user = "root" in a pool says that this is meant' in said
