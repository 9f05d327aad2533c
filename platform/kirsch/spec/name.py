"""Words that name things in a spec: they become file names, socket names, metric labels and nginx identifiers."""

from __future__ import annotations

from typing import Annotated

import msgspec

NAME_RULE = "1 to 32 of a-z, 0-9, '-' and '_', beginning with a letter"
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z", description=NAME_RULE)]
"""The name of a stack, app, pool, vhost or host."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400, description="seconds, more than 0 and at most a day (86400)")]
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]+\Z", description="text without control characters")]
"""A value that is handed on to a shell, a process or nginx."""
