"""``engine_options`` of a pool: settings of a server of others, passed on, except for those that are the platform's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from kirsch.errors import SuperviseError


def refuse_options(engine: str, given: Mapping[str, Any]) -> None:
    """Refuse any option, for an engine that has none.

    Raises:
        SuperviseError: there is one.
    """
    if given:
        raise SuperviseError(
            f"engine_options: {', '.join(given)}: engine {engine!r} has no options; "
            "settings of CherryPy's server go into an app's configuration, under [global]"
        )


def check_options(engine: str, given: Mapping[str, Any], ours: Mapping[str, str], known: Iterable[str] = ()) -> None:
    """Refuse options that the platform decides on, and unknown ones where *known* says which there are.

    Args:
        engine: its name, for the text.
        given: what the pool says.
        ours: options that are the platform's, each with what to write instead.
        known: all options that the engine has; empty when only itself can tell.

    Raises:
        SuperviseError: one of them is not for the pool to say; the text has the key and the cure.
    """
    words = list(known)
    for name in given:
        if name in ours:
            raise SuperviseError(f"engine_options.{name} is not the pool's to say with engine {engine!r}: {ours[name]}")
        if words and name not in words:
            near = difflib.get_close_matches(name, words, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SuperviseError(f"engine_options.{name} is no setting of {engine}{hint}")
