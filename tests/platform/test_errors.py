"""The error tree: what an operator reads, and what a command ends with."""

from __future__ import annotations

import pytest

from kirsch import errors
from kirsch.errors import ControlError, DeployError, GateFailed, KirschError, LockHeld, NginxError, Problem, SpecError


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            Problem(file="kirsch.toml", key="pool.web.engine", given='"nativ"', allowed="native, uwsgi", hint="native"),
            'kirsch.toml: pool.web.engine: "nativ" is not allowed; allowed: native, uwsgi; did you mean native?',
        ),
        (
            Problem(file="kirsch.toml", key="app.shop.entry", allowed='"module:object"'),
            'kirsch.toml: app.shop.entry: is missing; allowed: "module:object"',
        ),
        (Problem(file="x.toml", key="", message="is not TOML", allowed=""), "x.toml: is not TOML"),
        (Problem(file="", key="", message="no file", allowed=""), "no file"),
    ],
)
def test_a_problem_says_where_what_and_what_instead(problem: Problem, text: str) -> None:
    """File, key, what was given, what is allowed, and the nearest word stand in one line."""
    assert str(problem) == text


def test_a_spec_error_shows_every_problem_and_ends_with_two() -> None:
    """One line a problem; nothing was changed, so a command ends with 2."""
    error = SpecError(Problem(file="f", key=key, allowed="x") for key in ("a", "b"))

    assert str(error).splitlines() == ["f: a: is missing; allowed: x", "f: b: is missing; allowed: x"]
    assert error.exit_status == 2


def test_an_nginx_error_shows_nginx_s_own_words() -> None:
    """The lines stand below the message, and are data too."""
    error = NginxError("nginx refuses it", lines=["[emerg] a", "[warn] b"], generation="000003")

    assert str(error) == "nginx refuses it\n  [emerg] a\n  [warn] b"
    assert (error.lines, error.generation, error.exit_status) == (("[emerg] a", "[warn] b"), "000003", 1)


def test_errors_carry_data() -> None:
    """Nobody has to parse a message."""
    gate = GateFailed("not healthy", host="web1", step="health", report={"worker": "web.1"})
    lock = LockHeld("held", holder={"pid": 7})
    control = ControlError("no", kind="roll_failed", report={"step": "import"})

    assert (gate.host, gate.step, gate.report) == ("web1", "health", {"worker": "web.1"})
    assert (lock.step, lock.holder) == ("lock", {"pid": 7})
    assert (control.kind, control.report) == ("roll_failed", {"step": "import"})
    assert isinstance(gate, DeployError)


def test_every_error_is_in_the_drawn_tree() -> None:
    """The picture in the docstring is complete."""
    drawn = errors.__doc__ or ""
    classes = [
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, KirschError)
    ]

    assert [name for name in classes if name not in drawn] == []
