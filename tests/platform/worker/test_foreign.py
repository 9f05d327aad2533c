"""Applications of other frameworks, beside each other and beside CherryPy's in one worker, with each engine."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kirsch.spec import App

FRAMEWORKS = ["flask", "django", "falcon", "bottle", "pyramid"]
ENTRIES = {
    "flask": "flask_site_under_test:make('shop', strict=True)",
    "django": "manage.py",
    "falcon": "falcon_site_under_test:app",
    "bottle": "bottle_site_under_test:app",
    "pyramid": "pyramid_site_under_test:main({})",
}
HEAD = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"


@pytest.fixture(scope="module")
def sites() -> ModuleType:
    path = Path(__file__).with_name("foreign_sites.py")
    spec = importlib.util.spec_from_file_location("kirsch_foreign_sites", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def apps() -> tuple[App, ...]:
    """CherryPy at the root, the others below it, one of them broken."""
    foreign = [
        App(
            name=name,
            entry=ENTRIES[name],
            mount=f"/{name}/deep",
            directory=name,
            env={"WHO": name} | ({"ONLY_FLASK": "1"} if name == "flask" else {}),
            log="oldies" if name == "bottle" else None,
        )
        for name in FRAMEWORKS
    ]
    shop = App(name="shop", entry="shop_site_under_test:Root", directory="shop")
    bad = App(name="bad", entry="bad_site_under_test:app", mount="/bad", directory="bad", isolate=True)
    return (shop, bad, *foreign)


@pytest.fixture(params=["native", "gunicorn", "uwsgi"])
def worker(request: pytest.FixtureRequest, start_worker: Callable[..., Any], folder: str, sites: ModuleType) -> Any:
    """A worker with all of them."""
    sites.write_sites(Path(folder))
    return start_worker(*apps(), engine=request.param)


def test_every_framework_is_at_home(worker: Any) -> None:
    """Links carry the mount, the client is the proxy's, the import found its own folder and environment."""
    path = worker.ready()
    said = {}
    for name in FRAMEWORKS:
        answer = worker.get(path, f"/{name}/deep/link", HEAD)
        said[name] = json.loads(worker.body_of(answer))
        body = bytes(range(256)) * 300
        assert worker.fetch(path, f"/{name}/deep/echo", "POST", body, "shop.example").body == body, name
        assert worker.fetch(path, f"/{name}/deep/nowhere", host="shop.example").status == 404, name
    shop = json.loads(worker.body_of(worker.get(path, "/link", HEAD)))

    for name in FRAMEWORKS:
        assert said[name]["link"] == f"/{name}/deep/link"
        assert said[name]["remote"] == "192.0.2.7"
        assert said[name]["url"] == f"https://shop.example/{name}/deep/link"
        assert said[name]["found"] == [name, "1" if name == "flask" else None, name]
    assert shop == {"link": "/link", "remote": "192.0.2.7", "url": "https://shop.example/link"}


def test_each_has_its_name_in_the_log(worker: Any) -> None:
    """Its own, or the one that its app says."""
    path = worker.ready()
    for name in FRAMEWORKS:
        assert worker.fetch(path, f"/{name}/deep/say", host="shop.example").body == b"ok"
    worker.end()
    log = worker.process.stderr.read().decode()

    for name in FRAMEWORKS:
        assert f"{'oldies' if name == 'bottle' else name}: said by {name}\n" in log


def test_a_broken_app_fails_its_own_mount_only(worker: Any) -> None:
    """503 and a page without the reason; readiness says who, the scoreboard and the log say why."""
    path = worker.ready()
    page = worker.fetch(path, "/bad/anything")
    ready = worker.fetch(path, "/readyz")
    note = worker.board.read(1).note
    neighbour = worker.fetch(path, "/falcon/deep/link")
    worker.end()
    log = worker.process.stderr.read().decode()

    assert page.status == 503
    assert b"out of order" in page.body
    assert b"nothing_at_all" not in page.body
    assert "Retry-After" in page.headers
    assert ready.status == 200
    assert json.loads(ready.body)["broken"] == {"bad": "ModuleNotFoundError: No module named 'nothing_at_all'"}
    assert note == "app bad is broken: ModuleNotFoundError: No module named 'nothing_at_all'"
    assert "Traceback" in log
    assert neighbour.status == 200


def test_without_isolation_the_worker_fails(start_worker: Callable[..., Any], folder: str, sites: ModuleType) -> None:
    """As it did: the roll is refused, the old generation serves."""
    sites.write_sites(Path(folder))
    bad = App(name="bad", entry="bad_site_under_test:app", mount="/bad", directory="bad")
    report = start_worker(bad).wait_until("ready", "failed")

    assert report["state"] == "failed"
    assert report["step"] == "import bad_site_under_test:app"
