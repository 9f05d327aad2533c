"""How workers are started: the interpreter of their release, a clean environment, who they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from kirsch.link.state import State
from kirsch.spec import HostPaths
from kirsch.supervise.appmetrics import APP_METRICS, prepare_app_metrics
from kirsch.supervise.worker import Launch

#: Variables of the supervisor's own that would mislead a worker: sockets and promises that were made to the parent.
NOT_PASSED_ON = frozenset(
    {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "PYTHONHOME"}
)


def launch_for(
    paths: HostPaths, who: Callable[[State, str], str | None], environ: Mapping[str, str] | None = None
) -> Callable[[State, str], Launch]:
    """Return what says how the workers of a state's pool are started, from the environment of the supervisor.

    *who* returns whom they run as; None for who we are.
    """
    inherited = dict(os.environ if environ is None else environ)
    inherited.pop(APP_METRICS, None)

    def launch(state: State, pool: str) -> Launch:
        folder = os.path.dirname(state.python)
        env = {name: value for name, value in inherited.items() if name not in NOT_PASSED_ON}
        for app in state.stack.apps_of(pool):
            env |= app.env
        env |= {
            "PATH": f"{folder}:{env.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "KIRSCH_STACK": state.stack.name,
            "KIRSCH_POOL": pool,
            "KIRSCH_RELEASE": state.release,
            "KIRSCH_SHARED": paths.shared,
        }
        user = who(state, pool)
        if APP_METRICS not in env:
            env[APP_METRICS] = prepare_app_metrics(paths.app_metrics(pool), user)
        return Launch(state.python, env, paths.log_dir, user, state.stack.pools[pool].group)

    return launch
