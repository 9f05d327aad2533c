"""What was answered, by page handler: names out of the code, never out of what clients ask for.

A pool shows ``HANDLERS_SHOWN`` handlers at most; what is beyond is one, called ``(other)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar as Sampled

from kirsch.observe.view import StackView
from kirsch.scoreboard import BOUNDS_S, OTHERS, Counted, Exemplar, Handled, Handler

CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
HANDLERS_SHOWN = 512
Bucket = tuple[str, float] | tuple[str, float, Sampled]
_BOUNDS = [*map(str, BOUNDS_S), "+Inf"]


def handler_families(view: StackView) -> Iterator[Metric]:
    """Yield the families of a stack's pages."""
    requests = CounterMetricFamily(
        "kirsch_handler_requests",
        "Requests that were answered, by page handler; (none) is what no page answers.",
        labels=["pool", "app", "handler", "method", "status"],
    )
    duration = HistogramMetricFamily(
        "kirsch_handler_duration_seconds",
        "From the parsed head to the finished answer, by page handler.",
        labels=["pool", "app", "handler"],
    )
    octets = CounterMetricFamily(
        "kirsch_handler_response_bytes",
        "Octets of the bodies of answers, as far as their length was known.",
        labels=["pool", "app", "handler"],
    )
    known = GaugeMetricFamily("kirsch_handlers", "Page handlers that are told apart.", labels=["pool"])
    for pool in view.pools:
        shown = cap(pool.handled, HANDLERS_SHOWN)
        known.add_metric([pool.name], len({(one.handler.app, one.handler.name) for one in shown}))
        for handler, one in by_method(shown).items():
            labels = [pool.name, handler.app, handler.name, handler.method]
            for label, count in zip(CLASSES, one.by_class(), strict=True):
                if count:
                    requests.add_metric([*labels, label], count)
        for handler, one in by_page(shown).items():
            labels = [pool.name, handler.app, handler.name]
            duration.add_metric(labels, buckets(one, one.exemplar), one.duration_s)
            octets.add_metric(labels, one.body_bytes)
    yield from (requests, duration, octets, known)


def cap(handled: Iterable[Handled], limit: int) -> list[Handled]:
    """Return the first *limit* of them; all further ones are ``OTHERS``."""
    return [one if at < limit - 1 else _as(OTHERS, one) for at, one in enumerate(handled)]


def by_method(handled: Iterable[Handled]) -> dict[Handler, Handled]:
    """Return what was counted, by application, name and method, wherever the code stands."""
    return _sum(_as(one.handler._replace(code=""), one) for one in handled)


def by_page(handled: Iterable[Handled]) -> dict[Handler, Handled]:
    """Return what was counted, by application and name, whatever the method."""
    return _sum(_as(Handler(one.handler.app, one.handler.name), one) for one in handled)


def buckets(counted: Counted, exemplar: Exemplar | None = None) -> list[Bucket]:
    """Return (upper bound, count of answers up to it, exemplar), cumulated as Prometheus wants them."""
    sums = 0
    found: list[Bucket] = []
    place = None
    if exemplar is not None:
        place = next((at for at, bound in enumerate(BOUNDS_S) if exemplar.took_s <= bound), len(BOUNDS_S))
    for at, (bound, count) in enumerate(zip(_BOUNDS, counted.by_duration(), strict=True)):
        sums += count
        if exemplar is not None and at == place:
            found.append((bound, sums, Sampled({"request_id": exemplar.request_id}, exemplar.took_s, exemplar.at)))
        else:
            found.append((bound, sums))
    return found


def _as(handler: Handler, one: Handled) -> Handled:
    return Handled(handler, one.duration_s, one.body_bytes, one.answers, one.exemplar)


def _sum(handled: Iterable[Handled]) -> dict[Handler, Handled]:
    found: dict[Handler, Handled] = {}
    for one in handled:
        before = found.get(one.handler)
        found[one.handler] = one if before is None else before + one
    return found
