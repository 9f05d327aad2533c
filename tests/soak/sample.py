"""What the processes of a stack have at one moment: memory, descriptors, threads, files."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

MEBIBYTE = 1048576
#: Over more than a second, after which the supervisor looks after its workers again.
LOOKS = 8
LOOK_EVERY_S = 0.2
HEAD = (
    "| minute | supervisor | workers | nginx | open files | threads | processes | files "
    "| requests | failed | p50 | p99 |",
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


@dataclass(frozen=True)
class Sample:
    """One row of the table. Memory is what only this process has (USS), summed over the processes of a kind."""

    at_s: float
    supervisor_bytes: int
    workers_bytes: int
    nginx_bytes: int
    supervisor_descriptors: int
    worker_descriptors: int
    """Of the worker that has most."""
    supervisor_threads: int
    worker_threads: int
    processes: int
    """All of the stack."""
    files: int
    """In the run directory, sockets and links included."""

    def counts(self) -> dict[str, int]:
        """What has to be the same again whenever there is no load."""
        left_out = {"at_s", "supervisor_threads"}  # its pool of threads grows to its bound as it is needed
        return {
            name: value for name, value in asdict(self).items() if name not in left_out and not name.endswith("_bytes")
        }

    def row(self) -> str:
        """Return the first columns of the table's row."""
        memory = [
            f"{octets / MEBIBYTE:.1f} MiB" for octets in (self.supervisor_bytes, self.workers_bytes, self.nginx_bytes)
        ]
        cells = [
            f"{self.at_s / 60:.1f}",
            *memory,
            f"{self.supervisor_descriptors} + {self.worker_descriptors}",
            f"{self.supervisor_threads} + {self.worker_threads}",
            str(self.processes),
            str(self.files),
        ]
        return f"| {' | '.join(cells)} |"


def take_sample(host: Any, at_s: float) -> Sample:
    """Look at the stack of *host*, which has to be at rest: nobody boots or drains."""
    supervisor = psutil.Process(host.process.pid)
    master = psutil.Process(host.status()["nginx"]["pid"])
    nginx = [master, *master.children()]
    workers = [psutil.Process(worker["pid"]) for worker in host.workers()]
    return Sample(
        at_s=at_s,
        supervisor_bytes=_own_bytes([supervisor]),
        workers_bytes=_own_bytes(workers),
        nginx_bytes=_own_bytes(nginx),
        supervisor_descriptors=supervisor.num_fds(),
        worker_descriptors=max(worker.num_fds() for worker in workers),
        supervisor_threads=supervisor.num_threads(),
        worker_threads=max(worker.num_threads() for worker in workers),
        processes=1 + len(supervisor.children(recursive=True)) + len(nginx),
        files=sum(len(files) + len(folders) for _, folders, files in os.walk(host.paths.run)),
    )


def take_sample_at_rest(host: Any) -> Sample:
    """Look several times and take the least of each.

    The supervisor has a descriptor more for a moment now and then: our own question's connection, a file of /proc that
    it reads, a probe. With one of these in the sample, later ones would never be the same, or would hide a leak; what
    leaks is there at every look.
    """
    looks = []
    for _ in range(LOOKS):
        looks.append(asdict(take_sample(host, 0.0)))
        time.sleep(LOOK_EVERY_S)
    return Sample(**{name: min(look[name] for look in looks) for name in looks[0]})


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Slope of the line through *points* that has the least squares.

    >>> slope([(0, 1), (1, 3), (2, 5)])
    2.0
    """
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def _own_bytes(processes: Sequence[psutil.Process]) -> int:
    return sum(process.memory_full_info().uss for process in processes)
