"""From one view to the text that Prometheus reads, in the format that it asks for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from kirsch.observe.metrics.apps import app_families
from kirsch.observe.metrics.handlers import handler_families
from kirsch.observe.metrics.processes import process_families
from kirsch.observe.metrics.stack import stack_families
from kirsch.observe.view import StackView

PLAIN_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class StackCollector(Collector):
    """Turns the view that *look* returns into metric families, at each scrape."""

    def __init__(self, look: Callable[[], StackView]) -> None:
        self._look = look

    def describe(self) -> Iterator[Metric]:
        """Say nothing beforehand: otherwise a registration would look once more."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield every family, each name once: ours go before those of applications."""
        view = self._look()
        taken: set[str] = set()
        for family in itertools.chain(
            stack_families(view), handler_families(view), process_families(view), app_families(view)
        ):
            if family.name not in taken:
                taken.add(family.name)
                yield family


def render(look: Callable[[], StackView], accept: str) -> tuple[bytes, str]:
    """Return the exposition of what *look* shows and its media type: OpenMetrics for whom *accept* says that.

    Exemplars, each with the id of a request, are in OpenMetrics alone.
    """
    if "application/openmetrics-text" in accept:
        text: bytes = generate_openmetrics(_registry(look))  # type: ignore[no-untyped-call]
        return text, OPENMETRICS_TYPE
    return generate_latest(_registry(look)), PLAIN_TYPE


def render_metrics(look: Callable[[], StackView]) -> bytes:
    """Return the exposition of what *look* shows, in Prometheus' text format."""
    return render(look, "")[0]


def _registry(look: Callable[[], StackView]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StackCollector(look))
    # of the supervisor itself
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
