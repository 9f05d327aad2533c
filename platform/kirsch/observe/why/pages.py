"""What the application answered by itself: an exception, a store that is down, a limit of its own."""

from __future__ import annotations

from kirsch.observe.why.evidence import Cause, Evidence


def _answered(evidence: Evidence, *codes: int) -> bool:
    return evidence.code in codes and evidence.last_answer == str(evidence.code)


def _where(evidence: Evidence) -> str:
    who = evidence.handler or "the application"
    worker = str(evidence.capture.get("worker") or (evidence.line.worker if evidence.line is not None else ""))
    return f"{who} (worker {worker})" if worker else who


def session_store(evidence: Evidence) -> str | None:
    """Redis, memcached or a folder that does not answer."""
    said = next((text for text in evidence.log if "session store does not answer" in text), "")
    if evidence.code < 500 or not said:
        return None
    return f"the session store did not answer: {said.partition('session store does not answer: ')[2].splitlines()[0]}"


def exception(evidence: Evidence) -> str | None:
    """The page raised."""
    if evidence.code < 500 or not evidence.was_passed_on or not evidence.last_error:
        return None
    return f"{_where(evidence)} raised {evidence.last_error}"


def own_error(evidence: Evidence) -> str | None:
    """The page said so, without an exception."""
    if evidence.code < 500 or not _answered(evidence, evidence.code):
        return None
    if evidence.code in (502, 504) and not (evidence.line and evidence.line.worker):
        return None  # nginx writes these for an answer that did not come
    return f"{_where(evidence)} answered {evidence.code} by itself"


def body_refused(evidence: Evidence) -> str | None:
    """The application's own limit."""
    if not _answered(evidence, 413):
        return None
    return "the application takes no body of this size (server.max_request_body_size, request.body.maxbytes)"


def not_allowed(evidence: Evidence) -> str | None:
    """Another method."""
    line = evidence.line
    return f"the page does not answer {line.method}" if line is not None and _answered(evidence, 405) else None


def forbidden(evidence: Evidence) -> str | None:
    """The application knows the visitor, or does not."""
    if not _answered(evidence, 401, 403):
        return None
    return "the application does not let this visitor in"


def bad_input(evidence: Evidence) -> str | None:
    """What was sent does not fit."""
    if not 400 <= evidence.code < 500 or not _answered(evidence, evidence.code):
        return None
    return f"the application refused what was sent with {evidence.code}"


def under_way(evidence: Evidence) -> str | None:
    """It has not ended."""
    one = evidence.inside
    if evidence.line is not None or one is None:
        return None
    where = f", in {one.handler}" if one.handler else ""
    return f"it is not over: worker {one.worker} is inside of it for {one.for_s:.1f} s{where}"


def well(evidence: Evidence) -> str | None:
    """Nothing failed."""
    line = evidence.line
    if line is None or not 100 <= evidence.code < 400:
        return None
    retried = f", at try {len(line.tries)}" if len(line.tries) > 1 else ""
    return f"nothing failed: it was answered in {line.took_s * 1000:.0f} ms{retried}"


CAUSES = (
    Cause("session_store", session_store, "Start the store again, or look at its address in tools.sessions.*."),
    Cause("exception", exception, "kirsch logs has the whole traceback under this id; kirsch replay ID tries it anew."),
    Cause("own_error", own_error, "kirsch logs has what it logged under this id, if anything."),
    Cause("body_refused", body_refused, "Raise the application's own limit, and nginx's max_body with it."),
    Cause("method_not_allowed", not_allowed, "Correct the form or the client, or expose the page for this method."),
    Cause("forbidden", forbidden, "Log in as somebody who may, or look at the application's tools.auth_*."),
    Cause(
        "under_way", under_way, "kirsch top shows it live; kirsch logs WORKER after request_deadline_s has its stack."
    ),
)
LAST = (
    Cause("bad_input", bad_input, "The answer's text usually says what; kirsch replay does not help here."),
    Cause("none", well, ""),
)
