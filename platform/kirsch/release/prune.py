"""Removing what no deploy needs any more: old releases, failed ones, environments that belong to neither."""

from __future__ import annotations

import msgspec

from kirsch.release import fleet
from kirsch.release.history import read_lines
from kirsch.release.shell import Shell
from kirsch.spec import HostPaths


def prune(
    shell: Shell, paths: HostPaths, *, keep: set[str], count: int, supervisor: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove releases and environments; return the names of both.

    Kept: the releases in *keep*, and the newest *count* that did not fail; the environments that these were made
    with, and *supervisor*: the supervisor's own.
    """
    releases = [name for name in shell.list(paths.releases) if not name.startswith(".")]
    failed = {line.release for line in read_lines(shell, paths.history) if line.outcome == "failed"}
    good = [name for name in releases if name not in failed]
    kept = {*good[-count:], *keep}
    old = tuple(name for name in releases if name not in kept)
    for name in old:
        shell.remove(f"{paths.releases}/{name}")
    used = {environment_of(shell, paths, name) for name in releases if name in kept} | {supervisor}
    unused = tuple(name for name in shell.list(paths.envs) if name not in used)
    for name in unused:
        shell.remove(f"{paths.envs}/{name}")
    return old, unused


def environment_of(shell: Shell, paths: HostPaths, release: str) -> str | None:
    """Return the name of the environment that a release on the host was made with."""
    raw = shell.read(f"{paths.releases}/{release}/{fleet.CARD}")
    try:
        card = msgspec.json.decode(raw or b"{}", type=dict[str, str])
    except msgspec.MsgspecError:
        return None
    return card.get("environment")
