"""Worker processes as the kernel and their garbage collectors see them: processor time, threads, open files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from kirsch.observe.view import StackView

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def process_families(view: StackView) -> Iterator[Metric]:
    """Yield them by seat; counters begin again with the next worker in it, as ``rate()`` expects."""
    names = ["pool", "worker"]
    cpu = CounterMetricFamily("kirsch_worker_cpu_seconds", "Processor time of a worker.", labels=names)
    threads = GaugeMetricFamily("kirsch_worker_threads", "Threads of a worker.", labels=names)
    files = GaugeMetricFamily("kirsch_worker_open_files", "Open descriptors of a worker.", labels=names)
    started = GaugeMetricFamily("kirsch_worker_start_time_seconds", "Unix time of a worker's start.", labels=names)
    collections = CounterMetricFamily(
        "kirsch_worker_gc_collections", "Runs of a worker's garbage collector.", labels=[*names, "generation"]
    )
    for pool in view.pools:
        # of several in one seat (one that drains, its successor) the last one
        for worker in {worker.name: worker for worker in reversed(pool.workers) if worker.pid}.values():
            labels = [pool.name, worker.name]
            stat = _stat(worker.pid or 0)
            if stat is None:
                continue
            cpu.add_metric(labels, (int(stat[11]) + int(stat[12])) / _TICKS_PER_S)
            threads.add_metric(labels, int(stat[17]))
            open_files = _open_files(worker.pid or 0)
            if open_files is not None:
                files.add_metric(labels, open_files)
            if worker.started:
                started.add_metric(labels, worker.started)
            for generation, count in enumerate(worker.collections):
                collections.add_metric([*labels, str(generation)], count)
    yield from (cpu, threads, files, started, collections)


def _stat(pid: int) -> list[str] | None:
    """Return the fields behind the name in ``/proc/PID/stat``; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _open_files(pid: int) -> int | None:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None  # gone, or another user's
