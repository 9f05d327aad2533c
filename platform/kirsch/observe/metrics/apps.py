"""What applications count with plain ``prometheus_client``: summed over the workers of a pool, by that library's rules.

Workers find ``PROMETHEUS_MULTIPROC_DIR`` set, so that the library keeps their numbers in files, one a process and type.
Each sample gets a label ``pool``. What was counted by workers that have ended is in files of its own (see ``ended``).
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from kirsch.observe.metrics.ended import files_of, locked
from kirsch.observe.view import StackView

#: Samples of one pool's applications that are shown; what is beyond is counted and left out.
SERIES_LIMIT = 10_000
#: Names that are the platform's.
OURS = "kirsch_"


def app_families(view: StackView) -> Iterator[Metric]:
    """Yield what the applications of all pools count, each name once, and how much of it had to be left out."""
    found: dict[str, Metric] = {}
    dropped = GaugeMetricFamily(
        "kirsch_app_series_dropped", "Series of applications that are not shown.", labels=["pool", "cause"]
    )
    unread = CounterMetricFamily(
        "kirsch_app_metrics_unread", "1 for a pool whose files cannot be read.", labels=["pool"]
    )
    for pool in view.pools:
        if not pool.metrics_dir:
            continue
        try:
            families = read_families(pool.metrics_dir)
        except (OSError, ValueError, RuntimeError, struct.error, json.JSONDecodeError):
            unread.add_metric([pool.name], 1)
            continue
        causes = {"limit": 0, "name": 0}
        shown = 0
        for family in families:
            known = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            if family.name.startswith(OURS) or known.type != family.type:
                causes["name"] += len(family.samples)
                continue
            room = max(0, SERIES_LIMIT - shown)
            causes["limit"] += max(0, len(family.samples) - room)
            for sample in family.samples[:room]:
                labels = {**sample.labels, "pool": pool.name}
                if "pool" in sample.labels:
                    labels["exported_pool"] = sample.labels["pool"]
                known.samples.append(sample._replace(labels=labels))
            shown += min(room, len(family.samples))
        for cause, count in causes.items():
            dropped.add_metric([pool.name, cause], count)
    yield from (family for family in found.values() if family.samples)
    yield from (dropped, unread)


def read_families(folder: str) -> list[Metric]:
    """Return the families of the files in *folder*, in the order of their names.

    Raises:
        OSError, ValueError, RuntimeError, struct.error: a file cannot be read.
    """
    if not os.path.isdir(folder):
        return []
    with locked(folder):
        found: Iterable[Metric] = MultiProcessCollector.merge(files_of(folder))  # type: ignore[no-untyped-call]
    return sorted(found, key=lambda family: family.name)
