"""Spans of OpenTelemetry's around requests, where the package is there and the application has set a provider.

Otherwise nothing is wrapped and nothing is paid. The trace is the caller's (``traceparent``, which nginx passes on, or
begins), so spans of the application's own are children of the request's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kirsch.worker.voice import Voice

_PASSED_ON = ("traceparent", "tracestate", "baggage")
_FAILED = 500


class Tracing:
    """Begins and ends spans of requests.

    Args:
        voice: knows the handlers.
        api: the modules ``opentelemetry.trace`` and ``opentelemetry.propagate``.
    """

    def __init__(self, voice: Voice, api: tuple[Any, Any]) -> None:
        self._voice = voice
        self._trace, self._propagate = api
        self._tracer = self._trace.get_tracer("kirsch")

    def begin(self, method: str, path: str, headers: Mapping[str, str]) -> Any:
        """Begin the span of a request; *headers* by names in lower case."""
        shown = {
            "http.request.method": method,
            "url.path": path,
            "server.address": headers.get("host"),
            "client.address": headers.get("x-forwarded-for"),
            "user_agent.original": headers.get("user-agent"),
            "kirsch.request_id": headers.get("x-request-id"),
            "kirsch.worker": self._voice.order.name,
        }
        carrier = {name: headers[name] for name in _PASSED_ON if name in headers}
        return self._tracer.start_span(
            method,
            context=self._propagate.extract(carrier),
            kind=self._trace.SpanKind.SERVER,
            attributes={name: value for name, value in shown.items() if value},
        )

    def inside(self, span: Any) -> Any:
        """Return what makes *span* the current one for the time of a block."""
        return self._trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)

    def answered(self, span: Any, method: str, status: int) -> None:
        """Say what came of it; in the thread that has answered, whose row knows the handler."""
        writer = self._voice.writer
        name = writer.handler(writer.mine.row.handler).name
        if name and not name.startswith("("):
            span.update_name(f"{method} {name}")
            span.set_attribute("http.route", name)
        self.ended_with(span, status)

    def ended_with(self, span: Any, status: int) -> None:
        """Note the status."""
        span.set_attribute("http.response.status_code", status)
        if status >= _FAILED:
            span.set_attribute("error.type", str(status))
            span.set_status(self._trace.StatusCode.ERROR)


def find_tracing(voice: Voice) -> Tracing | None:
    """Return what makes spans; None where nobody would take them."""
    try:
        from opentelemetry import propagate, trace  # noqa: PLC0415 (a user may leave it out)
    except ImportError:
        return None
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    return Tracing(voice, (trace, propagate))


def trace_messages(respond: Callable[[Any], Any], tracing: Tracing | None) -> Callable[[Any], Any]:
    """Return *respond*, the native server's, with a span around each request."""
    if tracing is None:
        return respond

    def traced(message: Any) -> Any:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message.headers}
        span = tracing.begin(message.method, message.path, headers)
        try:
            with tracing.inside(span):
                status, headers, body, close = respond(message)
        except BaseException as error:
            if getattr(error, "is_deferral", False):
                _end_when_over(error, span, tracing)
            else:
                span.record_exception(error)
                tracing.ended_with(span, _FAILED)
                span.end()
            raise
        tracing.answered(span, message.method, int(status[:3]))
        if body.__class__ is list or body.__class__ is tuple:
            span.end()
            return status, headers, body, close
        return status, headers, body, lambda: _close(close, span)

    return traced


def trace_site(site: Callable[..., Iterable[bytes]], tracing: Tracing | None) -> Callable[..., Iterable[bytes]]:
    """Return *site*, a WSGI application, with a span around each request; of a stream, up to its first piece."""
    if tracing is None:
        return site

    def traced(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = {
            key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key.startswith("HTTP_")
        }
        method = environ["REQUEST_METHOD"]
        span = tracing.begin(method, environ["PATH_INFO"], headers)
        said = [str(_FAILED)]

        def start(status: str, fields: list[tuple[str, str]], *exc_info: Any) -> Any:
            said[0] = status[:3]
            return start_response(status, fields, *exc_info)

        try:
            with tracing.inside(span):
                body = site(environ, start)
        except BaseException as error:
            span.record_exception(error)
            tracing.ended_with(span, _FAILED)
            raise
        else:
            tracing.answered(span, method, int(said[0]) if said[0].isdigit() else _FAILED)
            return body
        finally:
            span.end()

    return traced


def _end_when_over(error: BaseException, span: Any, tracing: Tracing) -> None:
    over: Callable[[int], None] = getattr(error, "when_over", lambda status_class: None)

    def finish(status_class: int) -> None:
        try:
            over(status_class)
        finally:
            tracing.ended_with(span, status_class * 100)
            span.end()

    error.when_over = finish  # type: ignore[attr-defined]


def _close(close: Callable[[], object] | None, span: Any) -> None:
    try:
        if close is not None:
            close()
    finally:
        span.end()
