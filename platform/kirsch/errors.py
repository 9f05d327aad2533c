"""The error tree of the platform.

::

    KirschError                 exit_status 1: an act failed
    ├── SpecError               exit_status 2: the input is wrong, nothing was changed; .problems
    ├── NginxError              nginx refused a configuration or did not take it up; .lines .generation
    ├── SuperviseError          a worker or the supervisor failed; .worker .report
    │   └── BootFailed          a worker did not become ready; the old generation was not touched
    ├── DeployError             a step of a deploy failed; .host .step .output
    │   ├── HostUnreachable     no shell on the host
    │   ├── LockHeld            another deploy holds the lease; .holder
    │   └── GateFailed          the new release is not healthy; the old one serves again
    ├── ForgeryBelieved         an application believes what a client made up; .lines
    ├── BusError                a message cannot be sent, or a lease not be had; .kind
    └── ControlError            the supervisor answered with an error, or not at all; .kind .report

An error carries data; nobody parses its text. ``exit_status`` is what a command ends with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class KirschError(Exception):
    """Anything that the platform reports to its operator without a traceback."""

    exit_status: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing wrong in what the operator wrote.

    ``str(Problem(file="kirsch.toml", key="pool.web.engine", given="nativ", allowed="native, gunicorn, uwsgi",
    hint="native"))`` is ``kirsch.toml: pool.web.engine: "nativ" is not allowed; allowed: native, gunicorn, uwsgi;
    did you mean native?``
    """

    file: str
    """The file as the operator named it; empty when the input is no file."""
    key: str
    """Dotted path of the key, ``vhost.main.listen[0]``; empty for the file as a whole."""
    allowed: str
    """What could stand there."""
    given: str | None = None
    """What stands there, printed the way TOML writes it; None when something is missing."""
    message: str | None = None
    """What is wrong, when "is not allowed" or "is missing" does not say it."""
    hint: str | None = None
    """The nearest allowed word, for typing errors."""

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.file, self.key) if part)
        what = self.message or (f"{self.given} is not allowed" if self.given is not None else "is missing")
        rest = [f"allowed: {self.allowed}"] if self.allowed else []
        rest += [f"did you mean {self.hint}?"] if self.hint else []
        return "; ".join([f"{where}: {what}" if where else what, *rest])


class SpecError(KirschError):
    """The operator's input is wrong: every problem that was found, in the order of the file."""

    exit_status = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NginxError(KirschError):
    """nginx is missing, refused a configuration, or did not take it up.

    ``lines`` are nginx's own words (the ``[emerg]`` and ``[warn]`` lines), ``generation`` is the refused one.
    """

    def __init__(self, message: str, *, lines: Iterable[str] = (), generation: str | None = None) -> None:
        self.message = message
        self.lines = tuple(lines)
        self.generation = generation
        super().__init__("\n  ".join([message, *self.lines]))


class SuperviseError(KirschError):
    """A worker or the supervisor failed; ``report`` says what is known (step, exit status, output, traceback)."""

    def __init__(self, message: str, *, worker: str | None = None, report: Mapping[str, Any] | None = None) -> None:
        self.message = message
        self.worker = worker
        self.report: Mapping[str, Any] = dict(report or {})
        super().__init__(message)


class BootFailed(SuperviseError):
    """A worker of a new generation did not become ready."""


class DeployError(KirschError):
    """A step of a deploy failed on a host; ``output`` is what the step printed."""

    def __init__(self, message: str, *, host: str | None = None, step: str | None = None, output: str = "") -> None:
        self.message = message
        self.host = host
        self.step = step
        self.output = output
        super().__init__(message)


class HostUnreachable(DeployError):
    """No shell could be had on the host."""


class LockHeld(DeployError):
    """Another deploy holds the lease; ``holder`` says who and since when."""

    def __init__(self, message: str, *, host: str | None = None, holder: Mapping[str, Any] | None = None) -> None:
        self.holder: Mapping[str, Any] = dict(holder or {})
        super().__init__(message, host=host, step="lock")


class GateFailed(DeployError):
    """The new release did not become healthy; the old one is current again.

    ``report`` is the failed worker's, as the supervisor sent it.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str | None = None,
        step: str | None = None,
        output: str = "",
        report: Mapping[str, Any] | None = None,
    ) -> None:
        self.report: Mapping[str, Any] = dict(report or {})
        super().__init__(message, host=host, step=step, output=output)


class ForgeryBelieved(KirschError):
    """A client can claim to be somebody else; ``lines`` say where and by which header fields."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n  ".join(["forged header fields are believed", *self.lines]))


class ControlError(KirschError):
    """The supervisor answered with an error (``kind`` as it named it), or could not be asked (``unreachable``)."""

    def __init__(self, message: str, *, kind: str = "failed", report: Mapping[str, Any] | None = None) -> None:
        self.message = message
        self.kind = kind
        self.report: Mapping[str, Any] = dict(report or {})
        super().__init__(message)


class BusError(KirschError):
    """Something cannot go over the bus between processes; ``kind`` is a word for programs (``not_json``, ...)."""

    def __init__(self, message: str, *, kind: str) -> None:
        self.message = message
        self.kind = kind
        super().__init__(message)
