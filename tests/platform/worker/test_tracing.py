"""Spans of OpenTelemetry's around requests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from kirsch.worker.tracing import Tracing, find_tracing, trace_messages, trace_site

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """What keeps the spans."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    """Of a worker whose thread has just run the page Root.cart."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    api = SimpleNamespace(
        get_tracer=provider.get_tracer, SpanKind=trace.SpanKind, StatusCode=trace.StatusCode, use_span=trace.use_span
    )
    writer = SimpleNamespace(
        mine=SimpleNamespace(row=SimpleNamespace(handler=7)), handler=lambda number: SimpleNamespace(name="Root.cart")
    )
    voice: Any = SimpleNamespace(writer=writer, order=SimpleNamespace(name="web.1"))
    return Tracing(voice, (api, propagate))


def test_a_message_has_a_span_in_the_callers_trace(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    """Named by its page; it is the current one while the page runs."""
    inside: list[int] = []

    def respond(message: Any) -> Any:
        inside.append(trace.get_current_span().get_span_context().trace_id)
        return b"500 Internal Server Error", [], [b"x"], None

    message = SimpleNamespace(method="GET", path="/cart", headers=[(b"Traceparent", PARENT.encode())])
    trace_messages(respond, tracing)(message)
    span = exporter.get_finished_spans()[0]

    assert span.name == "GET Root.cart"
    assert span.context is not None
    assert span.context.trace_id == inside[0] == int(PARENT[3:35], 16)
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 500
    assert span.status.status_code is trace.StatusCode.ERROR


def test_a_stream_ends_its_span_when_it_is_closed(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    """And what was to be closed is closed."""
    closed: list[int] = []
    message = SimpleNamespace(method="GET", path="/", headers=[])
    answer = trace_messages(lambda message: (b"200 OK", [], iter([b"x"]), lambda: closed.append(1)), tracing)(message)

    assert exporter.get_finished_spans() == ()

    answer[3]()

    assert closed == [1]
    assert len(exporter.get_finished_spans()) == 1


def test_a_wsgi_site_has_spans_too(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    """An exception is recorded and goes on."""

    def site(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/boom":
            raise ValueError("no jam")
        start_response("200 OK", [])
        return [b"x"]

    traced = trace_site(site, tracing)
    traced({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *args: None)
    with pytest.raises(ValueError, match="no jam"):
        traced({"REQUEST_METHOD": "GET", "PATH_INFO": "/boom"}, lambda *args: None)
    good, bad = exporter.get_finished_spans()

    assert good.status.status_code is trace.StatusCode.UNSET
    assert bad.events[0].name == "exception"


def test_without_a_provider_nothing_is_wrapped() -> None:
    """And nothing is paid."""
    voice: Any = None
    respond = object()

    assert find_tracing(voice) is None
    assert trace_messages(respond, None) is respond  # type: ignore[arg-type]
    assert trace_site(respond, None) is respond  # type: ignore[arg-type]
