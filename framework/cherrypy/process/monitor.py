"""Work that repeats in the background for as long as the bus runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cherrypy.process.plugin import SimplePlugin
from cherrypy.process.wspbus import Bus


class PerpetualTimer(threading.Timer):
    """A ``threading.Timer`` that goes off again and again; kept for old code, use BackgroundTask."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.bus: Any = kwargs.pop("bus", None)
        super().__init__(*args, **kwargs)

    def run(self) -> None:
        """Wait, call, and again, until cancelled or failed."""
        while not self.finished.wait(self.interval):
            try:
                self.function(*self.args, **self.kwargs)
            except Exception:
                if self.bus:
                    self.bus.log(f"Error in perpetual timer thread function {self.function!r}.", 40, traceback=True)
                raise


class BackgroundTask(threading.Thread):
    """A daemon thread that calls *function* every *interval* seconds, until cancelled or the first error."""

    def __init__(
        self,
        interval: float,
        function: Callable[..., object],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        bus: Bus | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.interval = interval
        self.function = function
        self.args = args
        self.kwargs = kwargs or {}
        self.bus: Any = bus
        self.running = False
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Call no more; a thread that waits wakes and ends."""
        self.running = False
        self._cancelled.set()

    def run(self) -> None:
        """Wait, call, and again."""
        self.running = not self._cancelled.is_set()
        while not self._cancelled.wait(self.interval):
            try:
                self.function(*self.args, **self.kwargs)
            except Exception:
                if self.bus:
                    self.bus.log(f"Error in background task thread function {self.function!r}.", 40, traceback=True)
                # COMPAT: the thread ends at its first error; callbacks rely on not being called again.
                raise


class Monitor(SimplePlugin):
    """Runs *callback* every *frequency* seconds while the bus is started.

    Attributes:
        callback: what to run, without arguments.
        frequency: seconds between two runs; 0 or less: never.
        thread: the BackgroundTask at work, None when stopped.
        run_once: ``"host"`` or ``"cluster"``: of all processes that share a bus between processes (``bus.cluster``)
            one runs the callback in each period, on each host or altogether; without such a bus it always runs.
    """

    callback: Callable[[], object] | None = None
    frequency: float = 60
    thread: BackgroundTask | None = None
    run_once: str | None = None

    def __init__(
        self,
        bus: Bus,
        callback: Callable[[], object],
        frequency: float = 60,
        name: str | None = None,
        *,
        run_once: str | None = None,
    ) -> None:
        super().__init__(bus)
        if run_once not in (None, "host", "cluster"):
            raise ValueError(f'run_once={run_once!r}: allowed: "host", "cluster", None')
        self.run_once = run_once
        self.callback = callback
        self.frequency = frequency
        self.thread = None
        self.name = name

    def start(self) -> None:
        """Run the callback in a thread of its own from now on.

        Raises:
            TypeError: the frequency is no number.
        """
        name = self.name or type(self).__name__
        if not isinstance(self.frequency, int | float):
            raise TypeError(
                f"The frequency of {name!r} is {self.frequency!r}; it has to be a number: seconds between two runs, "
                "0 or less for never."
            )
        if self.frequency <= 0 or self.callback is None:
            return
        # One that ended (by its first error, or in the parent of a forked process) is replaced.
        if self.thread is not None and self.thread.is_alive():
            self.bus.log(f"Monitor thread {name!r} already started.")
            return
        function = self.callback if self.run_once is None else self._run_if_ours
        self.thread = BackgroundTask(self.frequency, function, bus=self.bus)
        self.thread.name = name
        self.thread.start()
        self.bus.log(f"Started monitor thread {name!r}.")

    start.priority = 70  # type: ignore[attr-defined]

    def _run_if_ours(self) -> None:
        """Run the callback unless another process of the cluster does."""
        cluster = getattr(self.bus, "cluster", None)
        callback: Any = self.callback
        if cluster is None:
            callback()
            return
        what = self.name or f"{getattr(callback, '__module__', '')}.{getattr(callback, '__qualname__', callback)}"
        cluster.run_once(callback, f"monitor {what}", scope=self.run_once, every_s=self.frequency)

    def stop(self) -> None:
        """End the thread; one that is inside the callback is let finish."""
        if self.thread is None:
            self.bus.log(f"No thread running for {self.name or type(self).__name__}.")
            return
        thread, self.thread = self.thread, None
        if thread is threading.current_thread():
            # The callback itself stops the bus (the autoreloader does): it cannot wait for its own end.
            thread.cancel()
            return
        thread.cancel()
        if not thread.daemon:
            self.bus.log(f"Joining {thread.name!r}")
            thread.join()
        self.bus.log(f"Stopped thread {thread.name!r}.")

    def graceful(self) -> None:
        """Stop and start anew."""
        self.stop()
        self.start()
