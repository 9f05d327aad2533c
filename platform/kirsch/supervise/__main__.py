"""``python -m kirsch.supervise --root ROOT --run RUN``: the supervisor of one stack, in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import logging
import os
import signal
import sys

import msgspec

from kirsch.errors import KirschError
from kirsch.nginx.binary import find_nginx, worker_user
from kirsch.observe.admin import AdminServer, start_admin
from kirsch.observe.view import StackView
from kirsch.spec import HostPaths
from kirsch.supervise.events import Events
from kirsch.supervise.front import Front
from kirsch.supervise.supervisor import Supervisor

LOOK_TIMEOUT_S = 5.0


async def supervise(paths: HostPaths, *, with_nginx: bool = True) -> None:
    """Run a supervisor until it is told to stop."""
    loop = asyncio.get_running_loop()
    events = Events()
    user = worker_user()
    front = Front(paths, find_nginx(), user, events) if with_nginx else None
    supervisor = Supervisor(paths, front, user, events)
    await supervisor.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    admin = await _open_window(supervisor, loop)
    try:
        await supervisor.wait()
    finally:
        if admin is not None:
            await asyncio.to_thread(admin.stop)


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
    admin, found = await asyncio.to_thread(start_admin, look, supervisor.state.admin)
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
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    paths = HostPaths(root=os.path.abspath(options.root), run=os.path.abspath(options.run))
    try:
        asyncio.run(supervise(paths, with_nginx=not options.no_nginx))
    except KirschError as error:
        logging.getLogger(__name__).error("%s", error)
        return error.exit_status
    except (OSError, msgspec.MsgspecError) as error:
        logging.getLogger(__name__).error("%s: %s", paths.state_file, error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
