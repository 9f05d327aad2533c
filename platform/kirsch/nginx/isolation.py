"""One bad vhost never blocks the others: it keeps its last good text, or is left out, and says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kirsch.errors import NginxError
from kirsch.nginx.guards import password_file
from kirsch.nginx.site import vhost_files
from kirsch.nginx.trial import Trial

Make = Callable[[str, frozenset[str]], Mapping[str, str]]
"""Renders a generation: its name, the vhosts to leave out; the files."""

Test = Callable[[Collection[str]], list[str]]

_IN_VHOST = re.compile(r" in vhosts/([^./]+)\.[a-z.]*conf:[0-9]+$")


@dataclass(frozen=True, slots=True)
class Held:
    """A vhost that nginx refuses as it is written now."""

    lines: tuple[str, ...]
    """nginx's own words."""
    serves: Literal["last good", "nothing"]
    """What it does meanwhile: what it did before, or answer nobody."""


def find_bad(vhosts: Sequence[str], changed: Collection[str], test: Test) -> dict[str, tuple[str, ...]]:
    """Which of *vhosts* have to go so that ``test(the others)`` has nothing to say, and what it said of each.

    Of two that cannot both be, the one that is not in *changed* stays. One test for each bad one when nginx names its
    file, as many as the number of vhosts has binary digits when it does not (certificates, conflicting names).

    Raises:
        NginxError: it is nobody's fault: nginx refuses what is left without any vhost.
    """
    # those that were good before stand first: who comes behind them and does not fit is the one to blame
    order = [name for name in vhosts if name not in changed] + [name for name in vhosts if name in changed]
    bad: dict[str, tuple[str, ...]] = {}
    while lines := test(order):
        named = next((found[1] for line in lines if (found := _IN_VHOST.search(line))), None)
        if named is None or named not in order or named not in changed:
            named, lines = _first_bad(order, test)
        order.remove(named)
        bad[named] = tuple(lines)
    return bad


def isolate(
    make: Make,
    generation: str,
    last_good: Mapping[str, str],
    trial: Callable[[Mapping[str, str]], Trial],
) -> tuple[Mapping[str, str], dict[str, Held]]:
    """The files of *generation* that nginx accepts, and the vhosts that are not in it as they are written now.

    Raises:
        NginxError: nginx refuses what all vhosts share, or every vhost and there is nothing that served before.
    """
    files = make(generation, frozenset())
    with trial(files) as whole:
        names = whole.vhosts
        changed = [name for name in names if files_of(name, files) != files_of(name, last_good)]
        bad = find_bad(names, changed, whole.test)
    if not bad:
        return files, {}
    kept = [name for name in bad if files_of(name, last_good) and name in changed]
    if kept:
        files = with_last_good(make(generation, frozenset(bad) - frozenset(kept)), kept, last_good)
        with trial(files) as mended:
            kept = [name for name in kept if name not in find_bad(mended.vhosts, kept, mended.test)]
    if len(bad) == len(names) and not kept:
        raise NginxError("nginx refuses every vhost", lines=[line for lines in bad.values() for line in lines])
    files = with_last_good(make(generation, frozenset(bad) - frozenset(kept)), kept, last_good)
    with trial(files) as rest:
        if lines := rest.test():
            raise NginxError("nginx refuses what is left without the bad vhosts", lines=lines)
    return files, {name: Held(lines, "last good" if name in kept else "nothing") for name, lines in bad.items()}


def files_of(vhost: str, files: Mapping[str, str]) -> dict[str, str]:
    """The files of a generation that are *vhost*'s own."""
    own = {*vhost_files(vhost), password_file(vhost)}
    return {name: files[name] for name in own if name in files}


def with_last_good(files: Mapping[str, str], vhosts: Collection[str], last_good: Mapping[str, str]) -> dict[str, str]:
    """*files* with the *vhosts* as they stand in *last_good*."""
    changed = dict(files)
    for vhost in vhosts:
        for name in files_of(vhost, files):
            del changed[name]
        changed |= files_of(vhost, last_good)
    return changed


def _first_bad(order: Sequence[str], test: Test) -> tuple[str, list[str]]:
    """The first of *order* with which the test fails, and what it says then."""
    if lines := test(()):
        raise NginxError("nginx refuses what all vhosts share", lines=lines)
    good, failing, words = 0, len(order), test(order)
    while failing - good > 1:
        middle = (good + failing) // 2
        if lines := test(order[:middle]):
            failing, words = middle, lines
        else:
            good = middle
    return order[failing - 1], words
