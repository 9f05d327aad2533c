"""A pytest plugin: one line of JSON for each event, and a check that the package under test is the one that was meant.

It also points the in-process test client at the free port that was chosen for the run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

OUT = os.environ.get("CPSUITE_OUT")
TARGET = os.path.realpath(os.environ.get("CPSUITE_TARGET", "/nonexistent")) + os.sep
SKIP = set(filter(None, os.environ.get("CPSUITE_SKIP", "").split("\n")))


def emit(event: str, **fields: Any) -> None:
    """Write one event."""
    if OUT:
        with open(OUT, "a", encoding="utf-8") as out:
            out.write(json.dumps({"ev": event, "t": time.time(), **fields}) + "\n")


def short(node_id: str) -> str:
    """``cptests/test_x.py::A::b`` → ``test_x.py::A::b``."""
    head, separator, tail = node_id.partition("::")
    return os.path.basename(head) + separator + tail


def pytest_configure(config: Any) -> None:
    # The package under test is not imported here: broken, it has to be a collection error of the test file.
    if os.environ.get("CPSUITE_HELPER", "upstream") == "upstream":
        try:
            from cheroot.test import webtest
        except ImportError as error:
            emit("note", msg=f"webtest port not set: {error!r}")
        else:
            webtest.WebCase.PORT = int(os.environ["CPSUITE_PORT"])
    emit("start", pid=os.getpid())


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    dropped = [item for item in items if short(item.nodeid) in SKIP]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if short(item.nodeid) not in SKIP]


def pytest_collection_finish(session: Any) -> None:
    emit("collected", ids=[short(item.nodeid) for item in session.items])
    module = sys.modules.get("cherrypy")
    path = os.path.realpath(getattr(module, "__file__", None) or "?")
    is_right = module is None or path.startswith(TARGET)
    emit("target", path=path, ok=is_right, version=str(getattr(module, "__version__", None)))
    if not is_right:
        raise SystemExit(f"cherrypy was imported from {path}, not from the target")


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        emit("collecterror", id=short(report.nodeid), msg=str(report.longrepr)[-3000:])


def pytest_runtest_logstart(nodeid: str) -> None:
    emit("begin", id=short(nodeid))


def pytest_runtest_logreport(report: Any) -> None:
    outcome = report.outcome
    if hasattr(report, "wasxfail"):
        outcome = "xpassed" if outcome == "passed" else "xfailed"
    emit(
        "report",
        id=short(report.nodeid),
        when=report.when,
        outcome=outcome,
        duration=report.duration,
        msg="" if report.outcome == "passed" else str(report.longrepr)[-3000:],
    )


def pytest_sessionfinish(exitstatus: int) -> None:
    emit("finish", status=int(exitstatus))
