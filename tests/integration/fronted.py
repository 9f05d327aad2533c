"""A real nginx of each version before real workers of each engine: what several tests of this folder share."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kirsch.nginx import Nginx, NginxControl, render_site, worker_user
from kirsch.nginx.binary import inspect_nginx
from kirsch.spec import HostPaths, Stack

HERE = Path(__file__).resolve().parent


def borrow(name: str, path: Path) -> ModuleType:
    """A module of other tests."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


platform = HERE.parent / "platform"
workers = borrow("kirsch_started_workers", platform / "worker" / "conftest.py")
sites = borrow("kirsch_foreign_sites", platform / "worker" / "foreign_sites.py")
stages = borrow("kirsch_nginx_stages", platform / "nginx" / "conftest.py")
free_port, stage, folder, start_worker = stages.free_port, stages.stage, workers.folder, workers.start_worker


@pytest.fixture(params=["wheel", "system"])
def nginx(request: pytest.FixtureRequest) -> Nginx:
    """Each nginx of this machine."""
    path = stages._wheel() if request.param == "wheel" else stages._system()
    if path is None:
        pytest.skip(f"there is no {request.param} nginx on this machine")
    found = inspect_nginx(path)
    assert isinstance(found, Nginx)
    return found


@pytest.fixture
def serve(nginx: Nginx) -> Iterator[Callable[..., None]]:
    """Start an nginx for a stack; *behind* is where it sends everything instead of to slots, *hole* what it forgets."""
    started: list[NginxControl] = []

    def start(stack: Stack, paths: HostPaths, behind: str = "", *, hole: tuple[str, str] | None = None) -> None:
        control = NginxControl(paths, nginx, worker_user())
        files = render_site(
            stack,
            paths,
            nginx.version,
            generation=control.next_generation(),
            user=control.user,
            modules=nginx.modules,
            loads=nginx.loads,
            processes=1,
            open_files=512,
        )
        if behind:
            slot = f"unix:{paths.slot_socket('web', 1)}"
            assert slot in files["upstreams.conf"]
            files["upstreams.conf"] = files["upstreams.conf"].replace(slot, behind)
        if hole:
            assert hole[0] in files["proxy.conf"]
            files["proxy.conf"] = files["proxy.conf"].replace(*hole)
        started.append(control)
        control.apply(files)

    yield start
    for control in started:
        control.stop(timeout_s=2)


@pytest.fixture
def behind_unix(start_worker: Any) -> Callable[..., None]:
    """Put a worker behind slot 1 of some paths: ``behind_unix(stack, paths, engine="gunicorn")``."""

    def start(stack: Stack, paths: HostPaths, engine: str = "native") -> None:
        path = start_worker(*stack.apps.values(), engine=engine).ready()
        os.chmod(os.path.dirname(path), 0o755)
        os.chmod(path, 0o666)
        os.symlink(path, paths.slot_socket("web", 1))

    return start


@pytest.fixture
def foreign_folder(folder: str) -> Path:
    """The worker's folder with a site of each framework in it."""
    sites.write_sites(Path(folder))
    return Path(folder)


@pytest.fixture(scope="session")
def started_worker() -> Any:
    """What starts a worker in a folder, for apps; whoever does ends it."""
    return workers.Started
