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
from cherrypy.process.embedding import Guest
from cherrypy.process.exitwatch import EX_SOFTWARE, ExitWatch, join_threads
from cherrypy.process.failures import ChannelFailures
from cherrypy.process.states import State, _StateEnum, states

__all__ = ["Bus", "ChannelFailures", "State", "_StateEnum", "bus", "states"]

Listener = Callable[..., Any]

DEFAULT_PRIORITY = 50
BUILT_IN_CHANNELS = ("start", "stop", "exit", "graceful", "log", "main")

# The number of descriptors a re-executed process looks at; 0 on a Bus switches the marking off.
max_files = 20000
_startup_cwd = respawn.STARTUP_DIRECTORY


class Bus:
    """The life of one process: its state, and named channels with listeners in order of priority.

    Attributes:
        state: one of ``states``; whoever waits is woken by an assignment.
        listeners: {channel: set of listeners}.
        execv: True when ``block`` has to re-execute the process after the exit.
        max_cloexec_files: descriptors below this number are closed on a re-execution; 0 keeps them all.
        exit_timeout_s: seconds that all the stop and exit listeners may take together when the bus exits; then the
            process ends with 70, and the log says where they hang. 0 or None waits for ever, as CherryPy does.
        join_timeout_s: seconds that ``block`` waits for threads that are no daemons; likewise. Off by default, since
            Python itself waits for them.
        embedded: True after ``embed``: another server owns the process.
        guest: what keeps an embedded bus going, None before and afterwards.
        is_guest: asked when the interpreter leaves: True if another server owns the process although nobody said so.
    """

    states = states
    execv = False
    max_cloexec_files = max_files
    # systemd waits as long before it kills (TimeoutStopSec); container engines are less patient.
    exit_timeout_s: float | None = 90.0
    join_timeout_s: float | None = None
    embedded = False
    guest: Guest | None = None
    is_guest: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(self) -> None:
        self.execv = False
        self._leaving = threading.Lock()
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

        Raises:
            TypeError: the callback cannot be called, or the priority is no number.
        """
        if callback is None:
            return partial(self._subscribed, channel, priority)
        if not callable(callback):
            raise TypeError(f"A listener of {channel!r} has to be callable; this is {callback!r}.")
        if priority is None:
            priority = getattr(callback, "priority", DEFAULT_PRIORITY)  # not looked at: mocks have any attribute
        elif not isinstance(priority, int | float):
            raise TypeError(
                f"The priority of {callback!r} on {channel!r} is {priority!r}; it has to be a number "
                "(lower ones are called first, the default is 50)."
            )
        self._priorities[channel, callback] = priority
        self.listeners[channel] = self.listeners.get(channel, set()) | {callback}  # others may be reading the old set
        return callback

    def _subscribed(self, channel: str, priority: int | None, callback: Listener) -> Listener:
        return self.subscribe(channel, callback, priority)

    def unsubscribe(self, channel: str, callback: Listener) -> None:
        """Take *callback* off *channel*; nothing happens if it was not there."""
        listeners = self.listeners.get(channel)
        if listeners and callback in listeners:
            self.listeners[channel] = listeners - {callback}
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
        if self.guest is None:
            self.start_here()
        else:
            self.log("start() does nothing after embed(), which starts the bus where it is needed.", level=30)

    def start_here(self) -> None:
        """Start in this process, whoever owns it."""
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
            # COMPAT: CherryPy's exit() ends the process here (its issues 1017, 1792, 1963). Here the error reaches the
            # caller; only an exit() from elsewhere may end a start abruptly. A Ctrl-C has to stop what has started,
            # too: a server's thread would keep the process for ever (2 of 5 runs, then 0 of 78).
            self.state = states.STOPPING
            self.exit()
            raise

    def embed(self) -> None:
        """Start in a process that another server owns (gunicorn, uWSGI, mod_wsgi); instead of ``start`` and ``block``.

        Publishes 'embed', on which the site takes its server, the autoreloader and the signals off the bus and applies
        the environment "embedded". Then it starts, and publishes 'main' from a thread of its own; in the workers alone
        if they are forked from this process. A second call does nothing.

            cherrypy.tree.mount(Root(), "/", config)
            cherrypy.engine.embed()
            application = cherrypy.tree

        Raises:
            RuntimeError: the bus ran already; it has exited now, for its servers would keep the process.
            ChannelFailures: a start listener failed.
        """
        if self.guest is not None:
            return
        if self.state not in (states.STOPPED, states.EXITING):
            found = self.state
            self.exit()
            raise RuntimeError(f"embed() starts the bus, but it is in {found!r} already. Call it instead of start().")
        self.embedded = True
        self.publish("embed")
        self.guest = Guest(self)
        self.guest.start()

    def exit(self) -> None:
        """Stop everything and prepare to leave the process; a failure on the way ends the process with 70.

        A call while another exit is under way (a second signal, a listener that exits) returns at once; an exit that
        comes during a restart makes it an exit.
        """
        if not self._leaving.acquire(blocking=False):
            self.execv = False
            self.log("Bus is exiting already.")
            return
        try:
            was_starting = self.state is states.STARTING
            with ExitWatch(self.exit_timeout_s, self.log):
                self._leave()
            if was_starting:
                # Someone (a second Ctrl-C, a signal) lost patience with a start listener that does not return.
                os._exit(EX_SOFTWARE)
        finally:
            self._leaving.release()

    def _leave(self) -> None:
        """Stop and exit. Whatever goes wrong has been logged by publish(): nobody above could do more than leave."""
        failed = False
        try:
            self.stop()
        except ChannelFailures:
            failed = True  # the exit listeners clean up (pid files) all the same
        except BaseException:
            os._exit(EX_SOFTWARE)
        try:
            self.state = states.EXITING
            self.log("Bus EXITING")
            self.publish("exit")
            # The last word of a process in its log, said before anyone waits for threads.
            self.log("Bus EXITED")
        except BaseException:
            os._exit(EX_SOFTWARE)
        if failed:
            os._exit(EX_SOFTWARE)

    def stop(self) -> None:
        """Stop everything that listens."""
        self.state = states.STOPPING
        self.log("Bus STOPPING")
        self.publish("stop")
        self.state = states.STOPPED
        self.log("Bus STOPPED")

    def restart(self) -> None:
        """Exit, and let ``block`` run this program anew in the same process.

        An exit that is under way already stays one: whoever asked for it wants the process to end.
        """
        if self._leaving.locked():
            self.log("Bus is exiting already; it is not restarted.")
        elif self.guest is not None:
            self.log("The process is not restarted: the server that owns it has to do that.", level=30)
        else:
            self.execv = True
            self.exit()

    def graceful(self) -> None:
        """Ask the listeners to reload what they hold: log files, threads, caches."""
        self.log("Bus graceful")
        self.publish("graceful")

    def forget_threads(self) -> None:
        """Be a stopped bus without locks that anybody holds: for a forked process, which lacks the other threads."""
        self._changed = threading.Condition()
        self._leaving = threading.Lock()
        self._state = states.STOPPED

    # Waiting

    def block(self, interval: float = 0.1) -> None:
        """Wait in the main thread until the bus exits, publishing 'main' every *interval* seconds.

        Ctrl-C exits. Then all threads that are not daemons are waited for, and the process is re-executed if
        ``restart`` asked for it. After ``embed`` it raises RuntimeError, for the other server could not go on.
        """
        if self.guest is not None:
            raise RuntimeError("block() has no place after embed(): another server owns the process. Leave it out.")
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
        if not join_threads(self.join_timeout_s, self.log) and not self.execv:  # a fresh run leaves them behind
            os._exit(EX_SOFTWARE)
        if self.execv:
            self._do_execv()

    def wait(self, state: State | Iterable[State], interval: float = 0.1, channel: str | None = None) -> None:
        """Wait until the bus is in *state* (or one of several), publishing *channel* every *interval* seconds.

        Raises:
            TypeError: something else was given; waiting for it would never end.
        """
        wanted = tuple(state) if isinstance(state, Iterable) else (state,)
        if not all(isinstance(one, State) for one in wanted):
            raise TypeError(f"A bus is waited for by its states, such as bus.states.STARTED, not by {state!r}.")
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
        """Exit when the interpreter goes away under a bus that nobody told to exit; warn if that was an oversight."""
        with self._leaving:  # an exit that another thread (the autoreloader) has begun is let finish
            is_over = self.state is states.EXITING
        if is_over:
            return
        if self.state is not states.STOPPED and not self.embedded and not self.is_guest():
            warnings.warn(
                f"The interpreter is leaving while the bus is in the {self.state!r} state; it is shut down now. "
                "Call bus.block() after bus.start(), or bus.exit() before the main thread ends; under another server "
                "call bus.embed() instead of bus.start().",
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
