"""The group that holds all verbs, and the wall where errors become words and exit statuses.

Exit statuses: 0 done, 1 an act failed, 2 the input is wrong and nothing was changed.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

import kirsch
from kirsch.cli import bus, settings
from kirsch.cli.certificate import certificate
from kirsch.cli.check import check, render
from kirsch.cli.deploy import deploy
from kirsch.cli.doctor import doctor
from kirsch.cli.down import down
from kirsch.cli.explain import explain
from kirsch.cli.fleet import VERBS
from kirsch.cli.logs import logs
from kirsch.cli.nginx import upgrade_nginx
from kirsch.cli.plan import plan
from kirsch.cli.replay import replay
from kirsch.cli.rollback import history, rollback
from kirsch.cli.screen import show_error
from kirsch.cli.status import status
from kirsch.cli.top import top
from kirsch.cli.why import why
from kirsch.errors import KirschError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(kirsch.__version__, prog_name="kirsch")
def verbs() -> None:
    """Run CherryPy applications, and foreign WSGI ones beside them, as many processes behind nginx.

    \b
    kirsch deploy            deploy ./kirsch.toml to this machine; again: roll to the new code, no request lost
    kirsch status            what runs, where, how well; kirsch top: the same, alive
    kirsch scale web=4       more or fewer workers; kirsch roll, drain, pause, ... for the rest of a day
    kirsch COMMAND --help    everything about one verb

    Exit statuses: 0 done, 1 an act failed, 2 the input is wrong and nothing was changed.
    """  # noqa: D301 (click wants the character itself)


for verb in (
    deploy,
    rollback,
    history,
    doctor,
    plan,
    status,
    top,
    logs,
    why,
    replay,
    down,
    check,
    explain,
    render,
    *VERBS,
    upgrade_nginx,
    certificate,
    *bus.VERBS,
    *settings.VERBS,
):
    verbs.add_command(verb)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(argv))


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        # with standalone_mode off an Exit is not raised: its status is what comes back; verbs return None
        status = verbs.main(args=None if argv is None else list(argv), prog_name="kirsch", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 1
    except KirschError as error:
        show_error(error)
        return error.exit_status
    return status if isinstance(status, int) else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a verb like Ctrl-C does: what it began is undone, the lock is given back."""
    raise KeyboardInterrupt
