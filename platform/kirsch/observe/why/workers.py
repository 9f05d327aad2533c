"""What becomes of a request when its worker does not answer: dead, too slow, not there, or not speaking HTTP."""

from __future__ import annotations

import re

from kirsch.observe.why.evidence import Cause, Evidence

HOLDING = "holding"
"""What the holding server calls itself in ``X-Kirsch-Worker``."""


def _worker(evidence: Evidence) -> str:
    death = evidence.death
    return str(death["worker"]) if death else (evidence.line.worker if evidence.line is not None else "")


def _inside(evidence: Evidence) -> str:
    return f" in {evidence.handler}" if evidence.handler else ""


def killed_for_memory(evidence: Evidence) -> str | None:
    """The supervisor killed it over ``memory_hard``."""
    death = evidence.death
    for event in evidence.happened("memory"):
        if death is not None and event.get("worker") == death.get("worker"):
            return (
                f"worker {death['worker']} was killed over memory_hard while the request was inside{_inside(evidence)}"
            )
    return None


def deadline(evidence: Evidence) -> str | None:
    """The request took longer than the pool lets it."""
    line, pool = evidence.line, evidence.pool
    for event in evidence.happened("stuck"):
        told = [str(one) for one in event.get("requests") or ()]
        what = f"{line.method} {line.path}" if line is not None else ""
        if what and any(one.startswith(what) for one in told):
            limit = f"request_deadline_s={pool.request_deadline_s:g}" if pool is not None else "its deadline"
            where = _inside(evidence) or _handler_in(told)
            return f"it was still at work{where} beyond {limit}, and its worker {event.get('worker')} was replaced"
        if evidence.death is not None and event.get("worker") == evidence.death.get("worker"):
            return f"its worker {event.get('worker')} gave no sign of life and was killed{_inside(evidence)}"
    return None


def killed(evidence: Evidence) -> str | None:
    """A signal from outside."""
    death = evidence.death
    if death is None or ("SIGKILL" not in str(death.get("message")) and "signal 9" not in str(death.get("message"))):
        return None
    return (
        f"worker {death['worker']} (pid {death.get('pid')}) was killed by SIGKILL while the request was "
        f"inside{_inside(evidence)}: by hand, or by the kernel for want of memory"
    )


def died(evidence: Evidence) -> str | None:
    """It ended by itself: a crash, or an exit in the middle."""
    death = evidence.death
    if death is None or death.get("kind") != "died":
        return None
    return f"worker {death['worker']} ended ({death.get('message')}) while the request was inside{_inside(evidence)}"


def cut_by_drain(evidence: Evidence) -> str | None:
    """It was told to go, and the request did not end in time."""
    death = evidence.death
    if death is None:
        return None
    return f"worker {death['worker']} had to go, and the request did not end within drain_s{_inside(evidence)}"


def timeout(evidence: Evidence) -> str | None:
    """Nginx waited long enough."""
    if evidence.code != 504:
        return None
    said = evidence.says("upstream timed out")
    where = "while it connected" if "while connecting" in said else f"for its answer{_inside(evidence)}"
    waited = f"{evidence.line.took_s:.0f} s" if evidence.line is not None else "long enough"
    return f"nginx waited {waited} {where}, and nothing came"


def parked(evidence: Evidence) -> str | None:
    """A crash loop."""
    event = next(evidence.happened("parked"), None)
    if not _was_refused(evidence) or event is None:
        return None
    failed = next(evidence.happened("died", "failed"), {})
    why = f": {failed['message']}" if failed.get("message") else ""
    return f"worker {event.get('worker')} is in a crash loop and parked, and nobody else is there{why}"


def boot_failed(evidence: Evidence) -> str | None:
    """Nobody comes up."""
    event = next(evidence.happened("failed"), None)
    if not _was_refused(evidence) or event is None:
        return None
    return f"no worker serves, as {event.get('worker')} does not boot: {event.get('message')}"


def paused(evidence: Evidence) -> str | None:
    """The operator wants them to wait."""
    event = next(evidence.happened("paused", "resumed"), None)
    if not _was_refused(evidence) or event is None or event.get("kind") != "paused":
        return None
    return f"the pool {event.get('pool')} is paused, and the request waited longer than hold_s"


def no_worker(evidence: Evidence) -> str | None:
    """The holding server's patience was over."""
    if not _was_refused(evidence):
        return None
    pool = evidence.pool
    limit = f" ({pool.hold_s:g} s)" if pool is not None else ""
    return f"no worker of the pool {pool.name if pool else '?'} came within hold_s{limit}"


def broken_app(evidence: Evidence) -> str | None:
    """An isolated app that could not be loaded."""
    app = evidence.app
    told = [text for note in evidence.notes.values() for text in note.split("; ")]
    said = next((text for text in told if app is not None and text.startswith(f"app {app.name} is broken")), "")
    if evidence.code != 503 or evidence.last_answer != "503" or not said:
        return None
    return f"its app could not be started: {said}"


def closed_early(evidence: Evidence) -> str | None:
    """The worker lives, and closed the connection without an answer."""
    said = evidence.says("prematurely closed", "Connection reset by peer", "upstream sent no valid")
    if evidence.code != 502 or not said:
        return None
    return f"the worker closed the connection before it had answered: {_words(said)}"


def head_of_answer(evidence: Evidence) -> str | None:
    """Fields that do not fit nginx's buffer."""
    said = evidence.says("too big header")
    return (
        "the head of the answer is larger than the 16 KiB that nginx takes" if said and evidence.code == 502 else None
    )


def invalid_answer(evidence: Evidence) -> str | None:
    """Not HTTP."""
    said = evidence.says("sent invalid header", "sent no valid HTTP", "invalid status line", "sent duplicate header")
    return f"nginx cannot read the answer: {_words(said)}" if said and evidence.code == 502 else None


def nobody_listens(evidence: Evidence) -> str | None:
    """Neither workers nor the holding server."""
    said = evidence.says("connect() to", "no live upstreams")
    if evidence.code != 502 or not said:
        return None
    return f"nobody listens behind any slot, not even the supervisor's holding server: {_words(said)}"


def rolling(evidence: Evidence) -> str | None:
    """A deploy was under way, and nothing else is known."""
    event = next(evidence.happened("rolling", "rolled", "linked", "nginx"), None)
    if evidence.code not in (502, 503, 504) or not evidence.was_passed_on or event is None:
        return None
    return f"something was being changed at that moment ({event.get('kind')}), and nothing else is known"


def _was_refused(evidence: Evidence) -> bool:
    return evidence.code == 503 and evidence.line is not None and evidence.line.worker == HOLDING


def _handler_in(told: list[str]) -> str:
    found = re.search(r" in (.+?)(?: \(|$)", told[0]) if told else None
    return f" in {found[1]}" if found else ""


def _words(said: str) -> str:
    return said.partition(", client:")[0]


CAUSES = (
    Cause(
        "killed_for_memory", killed_for_memory, "Find what grows (kirsch top), or raise memory_hard and memory_soft."
    ),
    Cause("deadline", deadline, "Make the handler faster, hand the work on, or raise request_deadline_s."),
    Cause(
        "killed", killed, "If nobody did it: dmesg tells of the OOM killer; set memory_soft below what the host has."
    ),
    Cause("worker_died", died, "kirsch logs WORKER has its last words; a crash in C needs core dumps (limits.core)."),
    Cause("cut_by_drain", cut_by_drain, "Raise drain_s, or @cherrypy.tools.drain(timeout=…) for this handler."),
    Cause("timeout", timeout, "Make the handler faster, or raise request_deadline_s or the route's timeout."),
    Cause("crash_loop", parked, "kirsch status says why it dies; deploy a release that lives."),
    Cause("boot_failed", boot_failed, "kirsch status has the traceback; deploy a release that boots."),
    Cause("paused", paused, "kirsch resume lets them through."),
    Cause("no_worker", no_worker, "kirsch status says where they are; more workers, or a longer hold_s."),
    Cause("broken_app", broken_app, "kirsch status and the worker's log say why; the other apps of the pool work."),
    Cause("answer_head_too_large", head_of_answer, "Send fewer or smaller cookies and header fields."),
    Cause("invalid_answer", invalid_answer, "Look at header fields that the application sets by itself."),
    Cause(
        "closed_early", closed_early, "kirsch logs WORKER at that moment; engines of others do so at their own limits."
    ),
    Cause(
        "nobody_listens", nobody_listens, "kirsch status; if the supervisor is gone, start it: it adopts what is there."
    ),
)
LAST = (Cause("change_under_way", rolling, "If it comes again: kirsch logs supervisor nginx-error."),)
