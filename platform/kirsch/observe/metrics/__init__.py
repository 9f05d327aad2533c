"""Metrics of a stack for Prometheus: everything that its scoreboards, its supervisor and its applications count.

``stack`` is what the supervisor knows, ``handlers`` what was answered by page handler, ``processes`` what the kernel
knows of workers, ``apps`` what applications count with ``prometheus_client``, ``ended`` keeps that of those who ended.
"""

from kirsch.observe.metrics.exposition import render, render_metrics
from kirsch.observe.metrics.stack import STATES_OF_SEATS

__all__ = ["STATES_OF_SEATS", "render", "render_metrics"]
