"""``python -m kirsch.supervise --root ROOT --run RUN``: the supervisor of one stack, in the foreground or behind it.

SIGTERM and SIGINT end the stack, SIGHUP rolls to what the state file says, SIGUSR2 changes to the version of kirsch
that is installed now.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import logging
import os
import signal
import subprocess
import sys
import time

import msgspec

import kirsch
from kirsch.errors import ControlError, KirschError, SuperviseError
from kirsch.link.state import load_state
from kirsch.nginx.binary import nginx_for, worker_user
from kirsch.observe.admin import AdminServer, start_admin
from kirsch.observe.view import StackView
from kirsch.spec import HostPaths
from kirsch.supervise.activation import take_activated
from kirsch.supervise.client import ControlClient
from kirsch.supervise.events import Events
from kirsch.supervise.front import Front
from kirsch.supervise.handover import Handover
from kirsch.supervise.notify import Notifier
from kirsch.supervise.roster import load_roster, roster_path
from kirsch.supervise.successor import Successor
from kirsch.supervise.supervisor import Supervisor

#: glibc takes large blocks from the system one by one and gives them back, until it has seen one as large as the first
#: here freed; the second then stays with the process.
RESERVE_BYTES = (4 * 2**20, 2 * 2**20)
LOOK_TIMEOUT_S = 5.0
DAEMON_PATIENCE_S = 30.0


def keep_reserve() -> None:
    """Have memory in hand: a supervisor that gets no more must still be able to say so."""
    for size in RESERVE_BYTES:
        bytearray(size)


async def supervise(paths: HostPaths, *, with_nginx: bool = True) -> Successor | None:
    """Run a supervisor until it is told to stop; return who is to take its place in this process, if anybody."""
    keep_reserve()
    loop = asyncio.get_running_loop()
    events = Events()
    user = worker_user()
    front = Front(paths, nginx_for(paths), user, events) if with_nginx else None
    notifier = Notifier(os.environ, os.getpid())
    handover = Handover.take(os.environ)
    handover.sockets |= take_activated(os.environ, paths)
    supervisor = Supervisor(paths, front, user, events, handover=handover, notifier=notifier)
    await supervisor.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, supervisor.on_hangup)
    loop.add_signal_handler(signal.SIGUSR2, supervisor.on_upgrade)
    admin = await _open_window(supervisor, loop)
    try:
        await supervisor.wait()
    finally:
        if admin is not None:
            await asyncio.to_thread(admin.stop)
    return supervisor.successor


def check(paths: HostPaths, *, with_nginx: bool) -> str:
    """Read everything that a supervisor needs here, change nothing; return our version.

    Raises:
        KirschError, OSError, msgspec.MsgspecError: something cannot be read, or there is no nginx.
    """
    load_state(paths.state_file)
    roster = roster_path(paths.run)
    if os.path.exists(roster) and load_roster(paths.run) is None:
        raise SuperviseError(f"{roster} is of a version that this one cannot read")
    if with_nginx:
        nginx_for(paths)
    return kirsch.__version__


def daemonize(paths: HostPaths) -> int:
    """Start the supervisor in the background, in a session of its own; return 0 once it answers."""
    argv = [sys.executable, "-m", "kirsch.supervise", *[word for word in sys.argv[1:] if word != "--daemon"]]
    os.makedirs(paths.log_dir, exist_ok=True)
    with open(f"{paths.log_dir}/supervisor.log", "ab") as log:
        child = subprocess.Popen(
            argv, cwd=paths.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    control = ControlClient(paths.control_socket, timeout_s=LOOK_TIMEOUT_S)
    deadline = time.monotonic() + DAEMON_PATIENCE_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if control.call("ping")["pid"] == child.pid:
                sys.stdout.write(f"{child.pid}\n")
                return 0
        except ControlError:
            time.sleep(0.05)
            continue
        break  # somebody else answers: the child is about to find that out
    status = child.wait(DAEMON_PATIENCE_S)
    logging.getLogger(__name__).error("the supervisor ended with status %s; see %s", status, log.name)
    return status or 1


async def _open_window(supervisor: Supervisor, loop: asyncio.AbstractEventLoop) -> AdminServer | None:
    """Start the admin endpoint: its threads look through the loop, which alone touches the supervisor."""

    async def look_here() -> StackView:
        return supervisor.view()

    def look() -> StackView:
        asked: concurrent.futures.Future[StackView] = asyncio.run_coroutine_threadsafe(look_here(), loop)
        return asked.result(LOOK_TIMEOUT_S)

    assert supervisor.state is not None
    if supervisor.state.admin is None:
        return None
    token_path = f"{supervisor.paths.run}/admin.token"
    admin, found = await asyncio.to_thread(start_admin, look, supervisor.state.admin, token_path)
    if admin is None:
        supervisor.admin_problem = found
        logging.getLogger(__name__).error("no admin endpoint: %s", found)
    else:
        supervisor.admin_url = found
    return admin


def main() -> int:
    """Read the command line and supervise; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kirsch.supervise", description="Run one stack on this host.")
    parser.add_argument("--root", required=True, help="folder of the releases")
    parser.add_argument("--run", required=True, help="folder of sockets and pids, with stack.json in it")
    parser.add_argument("--no-nginx", action="store_true", help="workers only: something else is in front")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--daemon", action="store_true", help="go to the background; ends when the supervisor answers")
    how.add_argument("--check", action="store_true", help="read what is there, print the version, change nothing")
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # a run directory may be named by the link to it in the root; sockets and command lines have its own name
    paths = HostPaths(root=os.path.abspath(options.root), run=os.path.realpath(options.run))
    try:
        if options.daemon:
            return daemonize(paths)
        if options.check:
            sys.stdout.write(f"{check(paths, with_nginx=not options.no_nginx)}\n")
            return 0
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        successor = asyncio.run(supervise(paths, with_nginx=not options.no_nginx))
        if successor is not None:
            successor.take_over()
    except KirschError as error:
        logging.getLogger(__name__).error("%s", error)
        return error.exit_status
    except (OSError, msgspec.MsgspecError) as error:
        logging.getLogger(__name__).error("%s: %s", paths.state_file, error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
