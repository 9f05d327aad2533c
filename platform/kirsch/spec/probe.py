"""What the operator wrote about health."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kirsch.spec.name import Seconds

ProbePath = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:/[A-Za-z0-9._~-]+)+\Z",
        max_length=200,
        description='a path like "/readyz", from letters, digits and - . _ ~',
    ),
]
#: Where workers say that their boot is over, beside the two that may be named otherwise.
STARTED_PATH = "/startupz"
#: Where workers always answer by themselves.
OWN_PATHS = ("/livez", "/readyz", STARTED_PATH)

Times = Annotated[int, msgspec.Meta(ge=1, le=100, description="a number from 1 to 100")]


class Probe(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One question that is put to a worker again and again."""

    path: ProbePath
    interval_s: Seconds = 1.0
    timeout_s: Seconds = 2.0
    healthy: Times = 2
    """Good answers in a row until it counts as well."""
    unhealthy: Times = 2
    """Bad answers in a row until it counts as ill."""


class Health(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Both questions: may it get requests, and is it alive."""

    ready: Probe = Probe(path="/readyz")
    live: Probe = Probe(path="/livez", interval_s=2.0, unhealthy=5)
    public: bool = False
    """Whether clients may ask too, through nginx; they learn the names of workers, releases and checks."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Where probes are answered, each once."""
        return tuple(dict.fromkeys((self.live.path, self.ready.path, *OWN_PATHS)))
