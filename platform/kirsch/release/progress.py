"""What a deploy tells whoever watches it; how that looks is the command line's matter."""

from __future__ import annotations

from typing import Protocol

from kirsch.release.plan import Plan, Step


class Progress(Protocol):
    """Somebody who watches a deploy."""

    def planned(self, plan: Plan) -> None:
        """The whole plan, before anything is touched."""

    def began(self, step: Step) -> None:
        """A step begins."""

    def said(self, line: str) -> None:
        """Something worth a line within the step."""

    def ended(self, step: Step, detail: str, took_s: float) -> None:
        """The step is done; *detail* is what came of it, may be empty."""

    def failed(self, step: Step, took_s: float) -> None:
        """The step failed; the error comes out of the deploy itself."""

    def reverted(self, text: str) -> None:
        """What was done to have the old release serve again."""


class Silence:
    """Nobody watches."""

    def planned(self, plan: Plan) -> None:
        """Say nothing."""

    def began(self, step: Step) -> None:
        """Say nothing."""

    def said(self, line: str) -> None:
        """Say nothing."""

    def ended(self, step: Step, detail: str, took_s: float) -> None:
        """Say nothing."""

    def failed(self, step: Step, took_s: float) -> None:
        """Say nothing."""

    def reverted(self, text: str) -> None:
        """Say nothing."""
