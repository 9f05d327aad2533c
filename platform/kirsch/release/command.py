"""The release command (migrations, as a rule): run once a deploy, before anybody gets the new release.

It runs as the workers do that come after it: what it makes in ROOT/shared they have to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kirsch.link.state import State
from kirsch.nginx.binary import worker_user
from kirsch.release.fleet import release_environ
from kirsch.release.shell import Listener, Ran, Shell
from kirsch.spec import HostPaths
from kirsch.supervise.identity import Identities


def run_command(
    command: str, shell: Shell, state: State, paths: HostPaths, environ: Mapping[str, str], listener: Listener
) -> Ran:
    """Run *command* by ``sh`` in the folder of *state*'s release, its environment's programs first.

    As user and group of the workers of the stack's first pool: whom that names, else whom the supervisor would choose;
    *listener* is told who that is, and each line.

    Raises:
        NginxError: the workers are to be nginx's user, and there is none.
    """

    def say(kind: str, *, message: str, **more: Any) -> None:
        listener(message)

    identities = Identities(paths, worker_user(), say)
    identities.choose(state)
    first = next(iter(state.stack.pools.values()))
    return shell.run(
        ["/bin/sh", "-c", command],
        cwd=state.release_dir,
        env=release_environ(state, paths, environ),
        listener=listener,
        user=identities.of(state, first.name),
        group=first.group,
    )
