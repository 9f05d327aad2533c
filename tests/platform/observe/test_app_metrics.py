"""What applications count with ``prometheus_client``: summed over processes, kept of those who ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kirsch.observe.metrics import ended, render_metrics
from kirsch.observe.metrics.apps import read_families
from kirsch.observe.metrics.ended import fold_ended
from kirsch.observe.view import PoolView, StackView

COUNTING = """
import sys, prometheus_client as p
sold = p.Counter("shop_sold", "Sold.", ["kind"])
took = p.Histogram("shop_took_seconds", "Took.", buckets=(0.1, 1.0))
size = p.Summary("shop_size", "Size.")
gauges = {mode: p.Gauge("shop_" + mode, mode, multiprocess_mode=mode)
          for mode in ("sum", "min", "max", "mostrecent", "all", "livesum")}
count = int(sys.argv[1])
sold.labels("tea").inc(count)
took.observe(0.05 * count)
size.observe(count)
for gauge in gauges.values():
    gauge.set(count)
print("counted", flush=True)
sys.stdin.readline()
"""


def count(folder: Path, number: int, *, lives: bool = False) -> subprocess.Popen[bytes]:
    """Run a process that counts *number*; return it when it has, ended if it does not live on."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING, str(number)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"counted\n"
    if not lives:
        process.kill()
        process.communicate()
    return process


def values(folder: Path) -> dict[str, float]:
    """Samples without their process ids."""
    found: dict[str, float] = {}
    for family in read_families(str(folder)):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "pid"}
            found[f"{sample.name}{labels or ''}"] = sample.value
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "web"
    made.mkdir()
    return made


def test_nothing_is_lost_and_no_file_is_left(folder: Path) -> None:
    """Killed, living, killed: what was counted is the same before and after; only those that live have files."""
    count(folder, 1)
    living = count(folder, 2, lives=True)
    count(folder, 4)
    before = values(folder)
    folded = fold_ended(str(folder), lambda pid: pid == living.pid)
    after = values(folder)
    left = {path.name.rpartition("_")[2] for path in folder.glob("*.db")}
    living.communicate(b"\n")

    assert folded == 18
    assert left == {f"{living.pid}.db"}
    assert after["shop_sold_total{'kind': 'tea'}"] == 7
    assert after["shop_took_seconds_bucket{'le': '0.1'}"] == 2
    assert after["shop_took_seconds_bucket{'le': '+Inf'}"] == 3
    assert after["shop_size_sum"] == 7
    assert (after["shop_sum"], after["shop_min"], after["shop_max"], after["shop_mostrecent"]) == (7, 1, 4, 4)
    assert (after["shop_livesum"], after["shop_all"]) == (2, 2)
    assert before.keys() == after.keys()


@pytest.mark.parametrize("step", ["replace", "unlink"])
def test_a_change_that_is_cut_is_finished(folder: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that is killed in between neither loses nor doubles anything."""
    count(folder, 3)
    fold_ended(str(folder), lambda pid: False)
    count(folder, 5)
    calls: list[str] = []

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        calls.append(step)
        raise Killed

    unlink = Path.unlink

    def die_removing(path: Path, missing_ok: bool = False) -> None:
        if path.parent == folder:
            die()
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        if step == "replace":
            patch.setattr(ended, "_finish", lambda folder: None if not calls and not calls.append("once") else die())
        else:
            patch.setattr(Path, "unlink", die_removing)
        with pytest.raises(Killed):
            fold_ended(str(folder), lambda pid: False)
    fold_ended(str(folder), lambda pid: False)

    assert values(folder)["shop_sold_total{'kind': 'tea'}"] == 8
    assert list(folder.glob("*.db")) == []


def test_what_workers_put_there_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Links, pipes and nonsense in a folder of theirs: neither read nor written through, and removed with their pid."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (folder / "counter_1.db").symlink_to(secret)
    os.mkfifo(folder / "counter_2.db")
    (folder / "counter_3.db").write_bytes(b"\xff" * 100)
    (folder / "counter_ended.db").symlink_to(secret)
    fold_ended(str(folder), lambda pid: False)

    assert secret.read_bytes() == b"secret"
    assert {path.name for path in folder.iterdir()} == {"counter_ended.db"}


def view(*folders: Path) -> StackView:
    pools = tuple(
        PoolView(name=f"p{at}", engine="native", slots=1, workers=(), metrics_dir=str(folder))
        for at, folder in enumerate(folders)
    )
    return StackView(stack="s", release="r", generation=1, pid=1, started=0.0, pools=pools)


def test_pools_are_told_apart(folder: Path, tmp_path: Path) -> None:
    """One family a name, a label for the pool; a family is never there twice."""
    other = tmp_path / "api"
    other.mkdir()
    count(folder, 2)
    count(other, 3)
    text = render_metrics(lambda: view(folder, other)).decode()

    assert 'shop_sold_total{kind="tea",pool="p0"} 2.0' in text
    assert 'shop_sold_total{kind="tea",pool="p1"} 3.0' in text
    assert text.count("# TYPE shop_sold_total counter") == 1


def test_a_pool_that_cannot_be_read_harms_no_other(folder: Path, tmp_path: Path) -> None:
    """It is told of, and the rest is there."""
    other = tmp_path / "api"
    other.mkdir()
    count(folder, 2)
    (other / "counter_7.db").write_bytes(b"\xff\xff\xff\x7f" * 100)
    text = render_metrics(lambda: view(folder, other)).decode()

    assert 'shop_sold_total{kind="tea",pool="p0"} 2.0' in text
    assert 'kirsch_app_metrics_unread_total{pool="p1"} 1.0' in text


def test_series_have_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond is counted, and not shown."""
    monkeypatch.setattr("kirsch.observe.metrics.apps.SERIES_LIMIT", 2)
    count(folder, 1)
    text = render_metrics(lambda: view(folder)).decode()

    assert sum(line.startswith("shop_") for line in text.splitlines()) == 2
    assert 'kirsch_app_series_dropped{cause="limit",pool="p0"} 12.0' in text
