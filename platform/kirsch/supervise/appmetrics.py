"""The folders in which ``prometheus_client`` keeps what workers count, one a pool."""

from __future__ import annotations

import logging
import os

from kirsch.observe.metrics.ended import fold_ended, prepare_kept
from kirsch.supervise.process import give_to, start_ticks

log = logging.getLogger(__name__)

APP_METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which ``prometheus_client`` knows that it is one of several processes."""


def prepare_app_metrics(folder: str, user: str | None) -> str:
    """Make a pool's folder, for the *user* whom its workers run as; return it.

    What is kept of the ended gets its place at once too, so that no death adds a file to the run directory.
    """
    os.makedirs(folder, mode=0o755, exist_ok=True)
    give_to(folder, user)
    prepare_kept(folder)
    return folder


def keep_app_metrics(folder: str) -> None:
    """Add up the files of processes that have ended; a supervisor goes on if that cannot be."""
    try:
        fold_ended(folder, lambda pid: start_ticks(pid) is not None)
    except OSError as error:
        log.warning("folder=%s the metrics of ended workers are not kept: %s", folder, error)
