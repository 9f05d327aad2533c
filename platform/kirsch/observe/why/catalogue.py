"""All causes in the order in which they are tried, and the judgement: the first that matches is it."""

from __future__ import annotations

from kirsch.observe.why import edge, pages, workers
from kirsch.observe.why.evidence import Cause, Evidence, Verdict

CATALOGUE: tuple[Cause, ...] = (*workers.CAUSES, *pages.CAUSES, *edge.CAUSES, *workers.LAST, *pages.LAST)
UNKNOWN = "unknown"


def judge(evidence: Evidence) -> Verdict:
    """Return the cause of what *evidence* shows, as a sentence and a cure."""
    for cause in CATALOGUE:
        because = cause.match(evidence)
        if because is not None:
            return Verdict(cause=cause.key, sentence=f"{_what(evidence)}: {because}.", cure=cause.cure)
    cure = "kirsch logs shows all logs around that time; ids are kept as long as the logs are."
    because = "nobody knows of it" if evidence.line is None else "nothing that is known explains it"
    return Verdict(cause=UNKNOWN, sentence=f"{_what(evidence)}: {because}.", cure=cure)


def _what(evidence: Evidence) -> str:
    """``POST /cart of shop.example got 502``."""
    line = evidence.line
    if line is None:
        return f"Request {evidence.id}" if evidence.id else "The request"
    what = f"{line.method} {line.path}" if line.method and line.path else "A request"
    if line.host:
        what += f" to {line.host}"
    return f"{what} got {line.status or 'nothing'}"
