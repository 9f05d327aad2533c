"""The version of the supervisor that takes this one's place, in the same process: tried out first, then executed.

The process stays, so its id does (systemd's MAINPID, the pid file), and so do its children: nothing has to be
adopted by process 1 on the way, and how a worker ends is still told.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field

from kirsch.errors import SuperviseError
from kirsch.supervise.handover import Handover

REHEARSAL_S = 60.0


@dataclass(frozen=True)
class Successor:
    """An interpreter with a version of kirsch, and the arguments that we were started with."""

    python: str
    arguments: tuple[str, ...]
    handover: Handover = field(default_factory=Handover)

    @classmethod
    def of(cls, python: str) -> Successor:
        """Return who runs on *python* as we run here."""
        return cls(python, tuple(sys.argv[1:]))

    async def rehearse(self) -> str:
        """Have that version read everything that it will find, and change nothing; return its version.

        Raises:
            SuperviseError: it cannot take over; what it printed is in the report.
        """
        argv = [self.python, "-m", "kirsch.supervise", *self.arguments, "--check"]
        pipe = asyncio.subprocess.PIPE
        try:
            trial = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
        except OSError as error:
            raise SuperviseError(f"{self.python} cannot be started: {error}") from error
        try:
            out, err = await asyncio.wait_for(trial.communicate(), REHEARSAL_S)
        except BaseException as error:
            trial.kill()
            await trial.wait()
            if isinstance(error, TimeoutError):
                raise SuperviseError(f"{self.python} does not answer within {REHEARSAL_S:g} s") from error
            raise
        if trial.returncode != 0:
            output = err.decode("utf-8", "replace")
            last = output.strip().rpartition("\n")[2]
            report = {"step": "upgrade", "exit_status": trial.returncode, "output": output}
            raise SuperviseError(f"that version cannot take over: {last}", report=report)
        return out.decode("utf-8", "replace").strip()

    def take_over(self) -> None:
        """Become it; does not return.

        Raises:
            OSError: it cannot be executed.
        """
        argv = [self.python, "-m", "kirsch.supervise", *self.arguments]
        os.execve(self.python, argv, self.handover.pass_on(os.environ))
