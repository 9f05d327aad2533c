"""The nginx in front when what it was made of changes behind its back."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kirsch.link.state import State
from kirsch.nginx import Nginx, worker_user
from kirsch.nginx.binary import USUAL_PLACES, inspect_nginx
from kirsch.spec import HostPaths, load_stack
from kirsch.supervise.events import Events
from kirsch.supervise.front import Front

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]

STACK = """[stack]
name = "x"
[app.shop]
entry = "shop:Root"
[pool.web]
workers = 1
[vhost.main]
listen = ["127.0.0.1:0"]
"""
# the system's own, but that its modules are where a test may take them away
PROGRAM = """#!/bin/sh
case "$*" in
*-V*) {nginx} -V 2>&1 | sed 's,--modules-path=[^ ]*,--modules-path={folder},' ;;
*) exec {nginx} "$@" ;;
esac
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because sockets live there."""
    path = Path(tempfile.mkdtemp(prefix="kf"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def nginx(folder: Path) -> Nginx:
    """One that loads a module from *folder*."""
    system = shutil.which("nginx") or next((place for place in USUAL_PLACES if os.access(place, os.X_OK)), None)
    real = inspect_nginx(system) if system else None
    if not isinstance(real, Nginx) or not real.loads:
        pytest.skip("no system's nginx with a module to load: apt install libnginx-mod-http-brotli-filter")
    shutil.copy(real.loads[0], folder)
    program = folder / "nginx"
    program.write_text(PROGRAM.format(nginx=real.path, folder=folder), encoding="utf-8")
    program.chmod(0o755)
    found = inspect_nginx(str(program))
    assert isinstance(found, Nginx)
    assert found.loads == (f"{folder}/{Path(real.loads[0]).name}",)
    return found


def test_it_comes_back_without_a_module_that_was_removed(folder: Path, nginx: Nginx) -> None:
    """What was written before names a file that is no more: it is written anew, and nobody has to deploy."""
    paths = HostPaths(f"{folder}/root", f"{folder}/run")
    for path in (paths.root, paths.run, paths.slots):
        os.makedirs(path)
    source = folder / "kirsch.toml"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        source.write_text(STACK.replace(":0", f":{probe.getsockname()[1]}"), encoding="utf-8")
    state = State(stack=load_stack(source), release="1", release_dir=str(folder), python="python")
    events = Events()
    front = Front(paths, nginx, worker_user(), events)
    back = asyncio.Event()
    pids: list[int | None] = []
    events.listen(lambda event: back.set() if event.get("message") == "restarted" else None)

    async def scene() -> None:
        await front.configure(state)
        pid = front.control.pid()
        assert pid is not None
        try:
            Path(nginx.loads[0]).unlink()
            os.killpg(os.getpgid(pid), signal.SIGKILL)
            await asyncio.wait_for(back.wait(), 60)
            pids.extend([pid, front.control.pid()])
        finally:
            await front.stop(2)

    asyncio.run(scene())
    generations = Path(paths.nginx_generations)
    texts = [path.read_text(encoding="utf-8") for path in sorted(generations.glob("*/nginx.conf"))]

    assert ["load_module" in text for text in texts] == [True, False]
    assert (front.problem, front.restarts) == (None, 1)
    assert None not in pids
    assert pids[0] != pids[1]
