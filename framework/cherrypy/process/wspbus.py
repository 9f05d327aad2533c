"""The Web Site Process Bus: one process, its states, and the channels that everything in it listens to.

    bus = Bus()
    bus.subscribe("start", open_database)
    bus.start()                     # STOPPED -> STARTING -> STARTED
    bus.block()                     # until someone calls bus.exit()

The bus knows nothing of HTTP. Servers, monitors, pid files and applications are listeners; whoever wants to act
publishes on a channel and never learns who listened.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import traceback as traceback_module
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from cherrypy.process import respawn

Listener = Callable[..., Any]

DEFAULT_PRIORITY = 50
EX_SOFTWARE = 70  # sysexits.h: an internal error; what a bus that cannot even exit leaves the process with
BUILT_IN_CHANNELS = ("start", "stop", "exit", "graceful", "log", "main")

# The number of descriptors a re-executed process looks at; 0 on a Bus switches the marking off.
max_files = 20000
_startup_cwd = respawn.STARTUP_DIRECTORY


class ChannelFailures(Exception):
    """All the errors that the listeners of one publication raised; false when there were none."""

    delimiter = "\n"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._exceptions: list[BaseException] = []

    def handle_exception(self) -> None:
        """Keep the exception that is being handled right now."""
        caught = sys.exc_info()[1]
        if caught is not None:
            self._exceptions.append(caught)

    def get_instances(self) -> list[BaseException]:
        """The exceptions that were raised, in the order of the listeners."""
        return list(self._exceptions)

    def __str__(self) -> str:
        return self.delimiter.join(map(repr, self._exceptions))

    __repr__ = __str__

    def __bool__(self) -> bool:
        return bool(self._exceptions)


class _StateEnum:
    """The states of a bus, as attributes."""

    class State:
        """One state; compared by identity."""

        name = ""

        def __init__(self, name: str) -> None:
            self.name = name

        def __repr__(self) -> str:
            return f"states.{self.name}"

    STOPPED = State("STOPPED")
    STARTING = State("STARTING")
    STARTED = State("STARTED")
    STOPPING = State("STOPPING")
    EXITING = State("EXITING")


State = _StateEnum.State
states = _StateEnum()


class Bus:
    """The life of one process: its state, and named channels with listeners in order of priority.

    Attributes:
        state: one of ``states``; whoever waits is woken by an assignment.
        listeners: {channel: set of listeners}.
        execv: True when ``block`` has to re-execute the process after the exit.
        max_cloexec_files: descriptors below this number are closed on a re-execution; 0 keeps them all.
    """

    states = states
    execv = False
    max_cloexec_files = max_files

    def __init__(self) -> None:
        self.execv = False
        self._state: State = states.STOPPED
        # Reentrant: a signal handler may change the state while this thread waits for a change.
        self._changed = threading.Condition()
        self.listeners: dict[str, set[Listener]] = {channel: set() for channel in BUILT_IN_CHANNELS}
        self._priorities: dict[tuple[str, Listener], int] = {}

    @property
    def state(self) -> State:
        """What the process is doing; one of ``states``."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    # Channels

    def subscribe(self, channel: str, callback: Listener | None = None, priority: int | None = None) -> Listener:
        """Add *callback* to *channel* (made if need be); without callback: a decorator that does it.

        The priority is the argument, else ``callback.priority``, else 50; lower ones are called first.
        """
        if callback is None:
            return partial(self._subscribed, channel, priority)
        if priority is None:
            priority = getattr(callback, "priority", DEFAULT_PRIORITY)
        self.listeners.setdefault(channel, set()).add(callback)
        self._priorities[channel, callback] = priority
        return callback

    def _subscribed(self, channel: str, priority: int | None, callback: Listener) -> Listener:
        return self.subscribe(channel, callback, priority)

    def unsubscribe(self, channel: str, callback: Listener) -> None:
        """Take *callback* off *channel*; nothing happens if it was not there."""
        listeners = self.listeners.get(channel)
        if listeners and callback in listeners:
            listeners.discard(callback)
            self._priorities.pop((channel, callback), None)

    def publish(self, channel: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call every listener of *channel*; returns their results in order of priority.

        A failing listener does not keep the next ones from being called.

        Raises:
            ChannelFailures: at the end, with every error of a listener.
            KeyboardInterrupt, SystemExit: at once. SystemExit says 1 instead of 0 when a listener had failed before.
        """
        listeners = self.listeners.get(channel)
        if not listeners:  # PERF: two look-ups for a channel without listeners; requests publish on three channels
            return []
        results = []
        failures = ChannelFailures()
        for listener in self._in_order(channel, listeners):
            try:
                results.append(listener(*args, **kwargs))
            except KeyboardInterrupt:
                raise
            except SystemExit as leaving:
                if failures and not leaving.code:
                    leaving.code = 1
                raise
            except BaseException:
                failures.handle_exception()
                if channel != "log":  # a failing log cannot report itself
                    self.log(f"Error in {channel!r} listener {listener!r}", level=40, traceback=True)
        if failures:
            instances = failures.get_instances()
            raise failures from (instances[0] if len(instances) == 1 else None)
        return results

    def _in_order(self, channel: str, listeners: set[Listener]) -> Sequence[Listener]:
        if len(listeners) == 1:
            return tuple(listeners)
        priorities = self._priorities
        return sorted(listeners, key=lambda listener: priorities.get((channel, listener), DEFAULT_PRIORITY))

    # States

    def start(self) -> None:
        """Start everything that listens; when one fails, or Ctrl-C comes, stop and exit again, and raise what came."""
        atexit.unregister(self._clean_exit)
        atexit.register(self._clean_exit)
        self.state = states.STARTING
        self.log("Bus STARTING")
        try:
            self.publish("start")
            self.state = states.STARTED
            self.log("Bus STARTED")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                self.log(f"{type(error).__name__} while starting: shutting down bus")
            else:
                self.log("Shutting down due to error in start listener:", level=40, traceback=True)
            # COMPAT: CherryPy's exit() ends the whole process here (its issues 1017, 1792, 1963). The error reaches
            # the caller of start() instead; only an exit() from elsewhere may end a start abruptly. A Ctrl-C has to
            # stop what has started, too: a server's thread would keep the process for ever (2 of 5 runs, then 0 of 78).
            self.state = states.STOPPING
            self.exit()
            raise

    def exit(self) -> None:
        """Stop everything and prepare to leave the process; a failure on the way ends the process at once."""
        was_starting = self.state is states.STARTING
        try:
            self.stop()
            self.state = states.EXITING
            self.log("Bus EXITING")
            self.publish("exit")
            # The last word of a process in its log, said before anyone waits for threads.
            self.log("Bus EXITED")
        except BaseException:
            # Whatever it was, it has been logged by publish(); nobody above could do more than leave.
            os._exit(EX_SOFTWARE)
        if was_starting:
            # Someone (a second Ctrl-C, a signal) lost patience with a start listener that does not return.
            os._exit(EX_SOFTWARE)

    def stop(self) -> None:
        """Stop everything that listens."""
        self.state = states.STOPPING
        self.log("Bus STOPPING")
        self.publish("stop")
        self.state = states.STOPPED
        self.log("Bus STOPPED")

    def restart(self) -> None:
        """Exit, and let ``block`` run this program anew in the same process."""
        self.execv = True
        self.exit()

    def graceful(self) -> None:
        """Ask the listeners to reload what they hold: log files, threads, caches."""
        self.log("Bus graceful")
        self.publish("graceful")

    # Waiting

    def block(self, interval: float = 0.1) -> None:
        """Wait in the main thread until the bus exits, publishing 'main' every *interval* seconds.

        Ctrl-C exits. Then all threads that are not daemons are waited for, and the process is re-executed if
        ``restart`` asked for it.
        """
        try:
            self.wait(states.EXITING, interval=interval, channel="main")
        except (KeyboardInterrupt, OSError):
            # OSError: a system call of a listener that a signal interrupted.
            self.log("Keyboard Interrupt: shutting down bus")
            self.exit()
        except SystemExit:
            self.log("SystemExit raised: shutting down bus")
            self.exit()
            raise
        self.log("Waiting for child threads to terminate...")
        for thread in threading.enumerate():
            if thread is threading.current_thread() or thread is threading.main_thread() or thread.daemon:
                continue
            self.log(f"Waiting for thread {thread.name}.")
            thread.join()
        if self.execv:
            self._do_execv()

    def wait(self, state: State | Iterable[State], interval: float = 0.1, channel: str | None = None) -> None:
        """Wait until the bus is in *state* (or one of several), publishing *channel* every *interval* seconds."""
        wanted = (state,) if isinstance(state, State) else tuple(state)
        while self._state not in wanted:
            with self._changed:
                self._changed.wait_for(lambda: self._state in wanted, timeout=interval)
            if channel is not None:
                self.publish(channel)

    def start_with_callback(
        self,
        func: Callable[..., object],
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> threading.Thread:
        """Start, and run *func* in a thread of its own as soon as the bus has STARTED; returns that thread."""

        def when_started() -> None:
            self.wait(states.STARTED)
            func(*(args or ()), **(kwargs or {}))

        thread = threading.Thread(target=when_started)
        thread.name = f"Bus Callback {thread.name}"
        thread.start()
        self.start()
        return thread

    # Telling and leaving

    def log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Publish *msg* on 'log' (listeners take ``msg, level``), with the current exception if *traceback*."""
        if traceback:
            msg = f"{msg}\n{''.join(traceback_module.format_exception(*sys.exc_info()))}"
        self.publish("log", msg, level=level)

    def _clean_exit(self) -> None:
        """Exit when the interpreter goes away under a bus that nobody told to exit."""
        if self.state is states.EXITING:
            return
        warnings.warn(
            f"The interpreter is leaving while the bus is in the {self.state!r} state; it is shut down now. "
            "Call bus.block() after bus.start(), or bus.exit() before the main thread ends.",
            RuntimeWarning,
            stacklevel=1,
        )
        self.exit()

    def _do_execv(self) -> None:
        """Replace this process by a fresh run of the same program."""
        arguments = self._get_true_argv()
        self.log(f"Re-spawning {' '.join(arguments)}")
        self._extend_pythonpath(os.environ)
        os.chdir(_startup_cwd)
        if self.max_cloexec_files:
            self._set_cloexec()
        os.execv(arguments[0], arguments)

    @staticmethod
    def _get_true_argv() -> list[str]:
        return respawn.true_argv()

    @staticmethod
    def _get_interpreter_argv() -> list[str]:
        return respawn.interpreter_argv()

    @staticmethod
    def _extend_pythonpath(env: Any) -> None:
        respawn.extend_pythonpath(env)

    def _set_cloexec(self) -> None:
        respawn.close_on_exec(self.max_cloexec_files)


bus = Bus()
