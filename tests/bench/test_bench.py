"""The bench's own parts: heads of the peers, what wrk prints, the table and its footnotes."""

from __future__ import annotations

import csv
import importlib
import socket
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Latency Distribution
     50%    1.50ms
     75%    2.00ms
     90%    3.00ms
     99%  250.00us
  100 requests in 1.00s, 1.00MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:    100.25
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The modules of the bench, found as its scripts find each other."""
    monkeypatch.syspath_prepend(HERE)
    return {name: importlib.import_module(name) for name in ("contenders", "scenarios", "measure", "report")}


def test_every_peer_has_a_whole_head(bench: dict[str, ModuleType]) -> None:
    """Titles and places are unique, and what a peer goes without is a scenario."""
    peers = bench["contenders"].all_contenders()
    scenarios = {scenario.name for scenario in bench["scenarios"].SCENARIOS}

    assert len(peers) == len(list((HERE / "peers").glob("*.py"))) >= 15
    assert len({peer.title for peer in peers}) == len({peer.place for peer in peers}) == len(peers)
    assert all(peer.without.keys() <= scenarios for peer in peers)
    assert peers[0].title == "CherryPy 18 on cheroot"


def test_peers_that_share_an_environment_name_the_same_needs(bench: dict[str, ModuleType]) -> None:
    """Or they would make it anew in turns."""
    needs: dict[str, tuple[str, ...]] = {}
    for peer in bench["contenders"].all_contenders():
        assert needs.setdefault(peer.environment, peer.dependencies) == peer.dependencies


@pytest.mark.parametrize("head", ["", '# /// script\n# dependencies = []\n# ///\n"""x"""'])
def test_a_peer_without_a_head_is_refused(bench: dict[str, ModuleType], tmp_path: Path, head: str) -> None:
    """Not left out in silence."""
    file = tmp_path / "peer.py"
    file.write_text(head)

    with pytest.raises((ValueError, KeyError)):
        bench["contenders"].read_contender(file)


def test_a_missing_program_is_a_reason(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    """It goes into a footnote."""
    module = bench["contenders"]
    peer = module.Contender(tmp_path / "x.py", 1, "x", "own", programs=("no-such-program",))

    with pytest.raises(module.Unavailable, match="no-such-program"):
        peer.prepare()


def test_what_wrk_prints_is_read(bench: dict[str, ModuleType]) -> None:
    """Rates, percentiles in milliseconds, and every kind of error."""
    score = bench["measure"].Score()
    bench["measure"].read_wrk(WRK, score)

    assert (score.rates, score.p50_ms, score.p99_ms, score.failed) == ([100.25], [1.5], [0.25], 15)


def test_lost_idle_connections_are_counted(bench: dict[str, ModuleType]) -> None:
    """Closed ones only."""
    pairs = [socket.socketpair() for _ in range(3)]
    ours = [pair[0] for pair in pairs]
    for one in ours:
        one.setblocking(False)
    pairs[1][1].close()

    assert bench["measure"].count_lost(ours) == 1
    for pair in pairs:
        pair[0].close()
        pair[1].close()


def test_reasons_are_footnotes(
    bench: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contender that did not take part is in the table and in the file, with the reason."""
    peers = bench["contenders"].all_contenders()[:2]
    scenario = bench["scenarios"].SCENARIOS[0]
    score = bench["measure"].Score([10.0, 30.0, 20.0], [1.0], [2.0], [17.5], [3.0])
    scores = {(peers[0].title, "hello"): score, (peers[1].title, "hello"): bench["measure"].Score()}
    reasons = {(peers[1].title, "hello"): "it does not build"}
    bench["report"].print_table(peers, [scenario], scores, reasons)
    bench["report"].write_csv(tmp_path / "results.csv", [scenario], scores, reasons)
    shown = capsys.readouterr().out
    lines = list(csv.DictReader((tmp_path / "results.csv").open()))

    assert f"[1] {peers[1].title}: it does not build" in shown
    assert [line["requests_per_s"] for line in lines] == ["20", ""]
    assert lines[1]["note"] == "it does not build"


def test_tables_of_a_document_are_renewed(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    """What stands around them stays, and who did not take part has a dash."""
    peers = bench["contenders"].all_contenders()[:2]
    scenario = bench["scenarios"].SCENARIOS[0]
    score = bench["measure"].Score([10.0, 3000.0, 2000.0], [1.0], [2.0], [17.5], [3.0])
    scores = {(peers[0].title, "hello"): score, (peers[1].title, "hello"): bench["measure"].Score()}
    file = tmp_path / "README.md"
    file.write_text("before\n<!-- requests -->\nold\n<!-- requests -->\nafter\n")
    for _ in range(2):
        bench["report"].write_tables(file, peers, [scenario], scores)

    assert file.read_text().splitlines() == [
        "before",
        "<!-- requests -->",
        "| | hello |",
        "| --- | ---: |",
        f"| {peers[0].title} | 2,000 |",
        f"| {peers[1].title} | - |",
        "<!-- requests -->",
        "after",
    ]
