"""The fault suite: everything that may happen to a stack, behind a real nginx, with clients that check every answer.

On every engine. ``make test`` does each once natively, some to the others; ``make chaos`` does it again and again, and
writes ``docs/chaos.md``. The variables are CHAOS_TIMES, CHAOS_ENGINES and CHAOS_REPORT.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import NginxError
from kirsch.nginx.binary import find_nginx

from ..platform.supervise import conftest as hosts
from . import chaos, chaos_report, loadgen

TIMES = int(os.environ.get("CHAOS_TIMES", "1"))
ENGINES = os.environ.get("CHAOS_ENGINES", "native gunicorn uwsgi").split()
#: What the others than the first engine go through in the short form; everything takes two minutes an engine.
SHORT = frozenset({"rolling replacement", "supervisor upgrade", "SIGKILL of workers", "broken releases"})
CASES = [
    (scene, engine)
    for scene in chaos.SCENES
    for engine in ENGINES
    if TIMES > 1 or engine == ENGINES[0] or scene in SHORT
]
REPORT = os.environ.get("CHAOS_REPORT")
MARK = "<!-- results -->"

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(240)]


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
        path.write_text(f"{head}{mark}\n\n{chaos_report.table(found, list(chaos.SCENES), before)}", encoding="utf-8")


@pytest.fixture
def play(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A host with its stack and clients at work: half of them POST, half GET, each answer has to be the right one."""
    engine = request.param
    if engine in chaos_report.NEEDED:
        pytest.importorskip(chaos_report.NEEDED[engine])
    host = hosts.Host()

    made = chaos.Play(host, None, engine, TIMES)
    made.load = clients = loadgen.Load(
        ("127.0.0.1", host.port), made.aim, clients=chaos.CLIENTS, note_header="x-worker"
    )
    try:
        host.start(made.state(), nginx=True)
        made.settle()
        with loadgen.running(clients):
            yield made
    finally:
        host.clean_up()


@pytest.mark.parametrize(("scene", "play"), CASES, indirect=["play"])
def test_no_request_is_lost_that_need_not_be(play: Any, scene: str, results: list[Any]) -> None:
    """Zero failures, or only those that were inside of what was killed."""
    result = chaos.perform(play, scene)
    results.append(result)

    assert result.failed <= result.allowed, str(play.load.tally)
    assert result.requests > 300
