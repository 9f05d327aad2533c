"""Who the workers are, when the supervisor is root."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import ControlError
from kirsch.supervise.worker import _identity

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

    assert _identity("nobody", None)["group"] == user.pw_gid
    assert _identity("nobody", "daemon") == {
        "user": "nobody",
        "group": daemon,
        "extra_groups": os.getgrouplist("nobody", daemon),
    }
    assert _identity(None, None) == {}


def test_user_and_group_of_a_pool(host: Any) -> None:
    """It serves, is counted on the scoreboard, drains and is replaced as any other."""
    try:
        subprocess.run([sys.executable, "-c", ""], user="nobody", check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the user nobody cannot run the interpreter of the tests: {error}")
    group = grp.getgrnam("daemon")
    host.start(host.state(workers=1, user="nobody", group="daemon"))
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
    """Workers that run as root do so because nobody said who else; the log says it."""
    host.start(host.state(workers=1))
    host.wait_until_ready(1)

    assert "pool.web.user says who else" in Path(host.paths.log_dir, "supervisor.log").read_text()
