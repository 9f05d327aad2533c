"""The fault suite: everything that may happen to a stack, behind a real nginx, with clients that check every answer.

``make test`` does each once, on the engine of our own; ``make chaos`` does all of it on every engine and writes
``docs/chaos.md``. The variables are CHAOS_TIMES, CHAOS_ENGINES and CHAOS_REPORT.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import NginxError
from kirsch.nginx.binary import find_nginx

TIMES = int(os.environ.get("CHAOS_TIMES", "1"))
ENGINES = os.environ.get("CHAOS_ENGINES", "native").split()
REPORT = os.environ.get("CHAOS_REPORT")
HERE = Path(__file__).parent
MARK = "<!-- results -->"

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(240)]


def load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


chaos = load("kirsch_chaos", HERE / "chaos.py")
loadgen = load("kirsch_loadgen", HERE / "loadgen.py")
hosts = load("kirsch_hosts", HERE.parent / "platform" / "supervise" / "conftest.py")


@pytest.fixture(scope="module")
def results() -> Iterator[list[Any]]:
    """What every scene saw; written down at the end if somebody asked for it."""
    try:
        find_nginx()
    except NginxError as error:
        pytest.skip(f"no nginx: {error.message}")
    found: list[Any] = []
    yield found
    if REPORT and found:
        path = Path(REPORT)
        head, mark, before = (path.read_text(encoding="utf-8") if path.exists() else MARK).partition(MARK)
        path.write_text(f"{head}{mark}\n\n{chaos.table(found, before)}", encoding="utf-8")


@pytest.fixture
def play(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A host with its stack and clients at work: half of them POST, half GET, each answer has to be the right one."""
    engine = request.param
    host = hosts.Host()

    def aim(client: int, index: int) -> Any:
        value = f"{client}-{index}"
        body = f"echo {value}".encode()
        if client % 2:
            return loadgen.Shot("GET", f"/echo?value={value}", b"", 200, body)
        kind = "application/x-www-form-urlencoded"
        return loadgen.Shot("POST", "/echo", f"value={value}".encode(), 200, body, kind)

    clients = loadgen.Load(("127.0.0.1", host.port), aim, clients=chaos.CLIENTS, note_header="x-worker")
    made = chaos.Play(host, clients, engine, TIMES)
    try:
        host.start(made.state(), nginx=True)
        made.settle()
        with loadgen.running(clients):
            yield made
    finally:
        host.clean_up()


@pytest.mark.parametrize("play", ENGINES, indirect=True)
@pytest.mark.parametrize("scene", chaos.SCENES)
def test_no_request_is_lost_that_need_not_be(play: Any, scene: str, results: list[Any]) -> None:
    """Zero failures, or only those that were inside of what was killed."""
    result = chaos.perform(play, scene)
    results.append(result)

    assert result.failed <= result.allowed, str(play.load.tally)
    assert result.requests > 300
