"""Runs one test file in a process group of its own, with a time limit; after a hang or a crash, the rest anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copies import Options, free_ports, make_copy
from fetch import Cache

HARNESS = Path(__file__).parent / "harness"
LIMIT_S = 120.0
LIMITS_S = {"test_http.py": 240.0}  # reads kept connections to their end: ten times the keep-alive timeout
MAX_RESTARTS = 3


@dataclass(frozen=True)
class Plan:
    """What is run, and how.

    Attributes:
        cache: where the released tests are.
        target: the folder that contains the ``cherrypy`` under test.
        work: scratch folder.
        only: a pytest ``-k`` expression.
        forbid: packages that the code under test may not import.
    """

    cache: Cache
    target: Path
    work: Path
    options: Options
    only: str = ""
    forbid: str = ""
    python: str = ""


@dataclass
class Outcome:
    """What became of one test file.

    Attributes:
        tests: {test id: {"outcome", "duration", "msg"}}.
        notes: hangs, crashes, processes left behind, forbidden imports.
    """

    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    collect_error: str = ""
    seconds: float = 0.0


@dataclass
class Attempt:
    """One process's events, put together."""

    collected: list[str] | None = None
    current: str | None = None
    is_finished: bool = False


def run_file(plan: Plan, name: str) -> Outcome:
    """Run the test file *name*, with fresh processes after hangs and crashes."""
    folder = plan.work / name.removesuffix(".py")
    ports = free_ports(6)
    make_copy(plan.cache.release, folder, ports, plan.options)
    outcome = Outcome()
    done: set[str] = set()
    for restart in range(MAX_RESTARTS + 1):
        status, timed_out, events = _run_process(plan, name, folder, ports, done, outcome)
        attempt = _digest(events, outcome, done)
        if attempt.is_finished:
            if timed_out:
                outcome.notes.append("hung at exit after the last test")
            break
        why = "timeout" if timed_out else "crash"
        outcome.notes.append(f"{why} (status {status}) in {attempt.current}")
        if attempt.collected is None:
            outcome.collect_error = outcome.collect_error or f"{why} during import or collection"
            break
        if attempt.current is not None:
            outcome.tests.setdefault(attempt.current, {"duration": 0.0, "msg": ""})["outcome"] = why
            done.add(attempt.current)
        rest = [test for test in attempt.collected if test not in done]
        if restart == MAX_RESTARTS or not rest or (attempt.current is None and not timed_out and restart):
            for test in rest:
                outcome.tests[test] = {"outcome": "notrun", "duration": 0.0, "msg": "file given up"}
            break
    for test in outcome.tests.values():
        test["outcome"] = test.get("outcome") or "error"
    forbidden = folder / "forbidden.log"
    if forbidden.exists():
        outcome.notes.append("forbidden imports: " + "; ".join(sorted(set(forbidden.read_text().splitlines()))))
    return outcome


def _run_process(
    plan: Plan, name: str, folder: Path, ports: list[int], done: set[str], outcome: Outcome
) -> tuple[int | None, bool, list[dict[str, Any]]]:
    events_file = folder / "events.jsonl"
    events_file.unlink(missing_ok=True)
    limit = LIMITS_S.get(name, LIMIT_S)
    tag = f"{plan.work.name}-{name}"
    command = [plan.python or str(plan.cache.python), "-m", "pytest", "-c", str(folder / "pytest.ini")]
    command += ["--rootdir", str(folder), "-p", "cpsuite_plugin"]
    command += [word for plugin in ("cacheprovider", "sugar", "cov", "forked") for word in ("-p", f"no:{plugin}")]
    command += ["-v", "-ra", "--tb=long", "--color=no", "-o", f"faulthandler_timeout={max(10, int(limit * 0.6))}"]
    command += ["-W", "default", *(["-k", plan.only] if plan.only else []), f"cptests/{name}"]
    begun = time.monotonic()
    timed_out = False
    with open(folder / "pytest.log", "ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environ(plan, folder, ports, done, tag),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            _end_group(process)
    outcome.seconds += time.monotonic() - begun
    left = end_tagged(tag)
    if left:
        outcome.notes.append(f"{left} leftover process(es) ended")
    lines = events_file.read_text(encoding="utf-8").splitlines() if events_file.exists() else []
    return process.returncode, timed_out, [json.loads(line) for line in lines]


def _environ(plan: Plan, folder: Path, ports: list[int], done: set[str], tag: str) -> dict[str, str]:
    proxies = ("http_proxy", "https_proxy", "all_proxy", "pytest_addopts")
    kept = {key: value for key, value in os.environ.items() if key.lower() not in proxies}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(folder), str(plan.target), str(HARNESS)]),
        "PATH": f"{plan.cache.tools}{os.pathsep}{kept.get('PATH', '')}",
        "NO_PROXY": "*",
        "no_proxy": "*",
        "WEBTEST_INTERACTIVE": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "CPSUITE_OUT": str(folder / "events.jsonl"),
        "CPSUITE_TARGET": str(plan.target),
        "CPSUITE_PORT": str(ports[0]),
        "CPSUITE_SKIP": "\n".join(sorted(done)),
        "CPSUITE_TAG": tag,
        "CPSUITE_HELPER": plan.options.helper,
        "CPSUITE_FORBID": plan.forbid,
        "CPSUITE_FORBID_LOG": str(folder / "forbidden.log"),
    }


def _digest(events: list[dict[str, Any]], outcome: Outcome, done: set[str]) -> Attempt:
    attempt = Attempt()
    for event in events:
        kind = event["ev"]
        if kind == "collected":
            attempt.collected = event["ids"]
        elif kind == "collecterror":
            outcome.collect_error = event["msg"]
        elif kind == "target" and not event["ok"]:
            outcome.notes.append(f"WRONG TARGET {event['path']}")
        elif kind == "begin":
            attempt.current = event["id"]
        elif kind == "report":
            _note_report(event, outcome)
            if event["when"] == "teardown":
                done.add(event["id"])
                attempt.current = None
        elif kind == "finish":
            attempt.is_finished = True
        elif kind == "note":
            outcome.notes.append(event["msg"])
    return attempt


def _note_report(event: dict[str, Any], outcome: Outcome) -> None:
    test = outcome.tests.setdefault(event["id"], {"outcome": None, "duration": 0.0, "msg": ""})
    test["duration"] = round(test["duration"] + event["duration"], 3)
    if event["when"] == "call":
        test.update(outcome=event["outcome"], msg=event["msg"])
    elif event["outcome"] == "failed":
        test.update(outcome="error", msg=f"[{event['when']}] {event['msg']}")
    elif event["when"] == "setup" and event["outcome"] in ("skipped", "xfailed"):
        test.update(outcome=event["outcome"], msg=event["msg"])


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGABRT first: faulthandler writes all stacks into the log."""
    with suppress(OSError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGABRT)
        process.wait(3)
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tagged(tag: str) -> Iterator[int]:
    """Processes that were started for *tag*; daemons have left our group, but not their environment."""
    needle = f"CPSUITE_TAG={tag}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with suppress(OSError):
                if needle in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    yield int(entry)


def end_tagged(tag: str, grace_s: float = 0.5) -> int:
    """End what *tag* has left running; returns how many there were."""
    left = list(_tagged(tag))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in list(_tagged(tag)) if left else []:
            with suppress(OSError):
                os.kill(pid, number)
        deadline = time.monotonic() + grace_s
        while left and time.monotonic() < deadline and any(_tagged(tag)):
            time.sleep(0.05)
    return len(left)
