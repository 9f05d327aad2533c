"""What an error looks like."""

from __future__ import annotations

import io

from rich.console import Console

from kirsch.cli.screen import show_error
from kirsch.cli.status import describe_age
from kirsch.errors import DeployError, GateFailed, KirschError, Problem, SpecError


def shown(error: KirschError) -> str:
    """The text without colours."""
    console = Console(file=io.StringIO(), width=200)
    show_error(error, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_traceback_and_log_are_shown() -> None:
    """Both, with the worker, the step and how long it took."""
    report = {
        "worker": "web.1",
        "step": "import shop:Root",
        "exit_status": 1,
        "traceback": "Traceback (most recent call last):\nSyntaxError: invalid [syntax]",
        "output": "loading settings",
        "duration_s": 0.4123,
    }
    text = shown(GateFailed("web.1 failed", output="loading settings", report=report))

    assert "SyntaxError: invalid [syntax]" in text
    assert "loading settings" in text
    assert "worker web.1, step import shop:Root, exit status 1, after 0.41 s" in text


def test_traceback_that_is_in_the_output_is_shown_once() -> None:
    """The log usually ends with the very traceback."""
    traceback = "Traceback (most recent call last):\nValueError: x"
    text = shown(GateFailed("failed", output=f"before\n{traceback}\n", report={"traceback": traceback}))

    assert text.count("ValueError: x") == 1
    assert "before" in text


def test_step_and_host_are_named() -> None:
    """So that one knows where to look."""
    assert "(web1, environment)" in shown(DeployError("pip failed", host="web1", step="environment"))


def test_every_problem_has_its_line() -> None:
    """Brackets in keys are no colours."""
    problems = [
        Problem(file="kirsch.toml", key=f"vhost.main.listen[{n}]", allowed="a port", given='"x"') for n in (0, 1)
    ]
    lines = shown(SpecError(problems)).splitlines()

    assert len(lines) == 2
    assert "vhost.main.listen[1]" in lines[1]


def test_ages_are_said_in_two_units() -> None:
    """Short, and never empty."""
    assert [describe_age(seconds) for seconds in (0, 59, 60, 3661, 90000)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 1 min",
        "1 d 1 h",
    ]
