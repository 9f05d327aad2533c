"""``tools.drain.timeout``: how long a handler is waited for when its worker is told to go.

    @cherrypy.expose
    @cherrypy.tools.drain(timeout=300)      # a report that may be finished; or 2, for a stream that comes again
    def report(self): ...

Counted from the moment at which the worker begins to drain. What has none is waited for as the pool says (``drain_s``).
"""

from __future__ import annotations

from typing import Any

import cherrypy

#: nginx keeps a connection for 3 s, and may pass a request on until then: no worker leaves before that may stay.
KEPT_S = 4.0
LONGEST_S = 86400.0


class Patience(cherrypy.Tool):
    """The tool, and what it was told of the requests that run."""

    def __init__(self) -> None:
        super().__init__("before_handler", self.check, name="drain")
        self._inside: dict[Any, float] = {}

    def check(self, timeout: float) -> None:
        """Note that the request that runs may take *timeout* seconds.

        Raises:
            ValueError: the configuration says something else than seconds.
        """
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST_S:
            raise ValueError(
                f"tools.drain.timeout = {timeout!r}: allowed: seconds, more than 0 and at most a day (86400)"
            )
        self._inside[cherrypy.serving.request] = float(timeout)

    def _setup(self) -> None:
        super()._setup()
        cherrypy.serving.request.hooks.attach("on_end_request", self._forget)

    def _forget(self) -> None:
        self._inside.pop(cherrypy.serving.request, None)

    def install(self) -> Patience:
        """Be ``cherrypy.tools.drain``, before an application is imported that may name it."""
        cherrypy.tools.drain = self
        return self

    def inside(self) -> list[float]:
        """Return the times of the requests that run, in seconds after the begin of the drain."""
        return list(self._inside.values())


def end_of_patience(drain_s: float, in_flight: int, asked: list[float]) -> float:
    """Return how long after its begin a drain goes on: until nobody is inside who may still be waited for.

    *in_flight* are all requests, *asked* the times of those that have their own.

    >>> end_of_patience(30.0, 3, [300.0, 2.0])
    300.0
    >>> end_of_patience(30.0, 1, [2.0])
    4.0
    """
    if in_flight > len(asked) or not asked:
        return max([drain_s, *asked])
    return max([*asked, min(drain_s, KEPT_S)])
