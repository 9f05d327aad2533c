"""For all tests: a failure shows what every thread of the process was doing."""

from __future__ import annotations

import faulthandler
import tempfile
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the stacks of all threads to the report of a failed test: half of what fails once in a while is a wait."""
    report = yield
    if report.failed and call.when == "call":
        with tempfile.TemporaryFile("w+") as stacks:
            faulthandler.dump_traceback(stacks, all_threads=True)
            stacks.seek(0)
            report.sections.append(("Threads", stacks.read()))
    return report
