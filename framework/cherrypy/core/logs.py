"""The error log and the access log, of the site and of each application, on the standard library's ``logging``.

Law: no line is formatted that nobody reads. Each manager has two loggers, ``cherrypy.error[.ID]`` and
``cherrypy.access[.ID]``; an application's propagate to the site's, and have its levels until they get their own.
They are ordinary loggers: ``logging.config`` may give them handlers and levels, before the import or after it.
"""

from __future__ import annotations

import datetime
import logging
import os
import sys
import weakref
from collections.abc import Callable
from time import perf_counter
from typing import Any, ClassVar, TextIO

from cherrypy.context import serving
from cherrypy.core.loghandlers import NotTwice, WSGIErrorHandler, has_reader
from cherrypy.process.wspbus import bus

__all__ = [
    "GlobalLogManager",
    "LazyRfc3339UtcTime",
    "LogManager",
    "WSGIErrorHandler",
    "has_reader",
    "log",
    "logfmt",
    "reopen_all_files",
]

logfmt = logging.Formatter("%(message)s")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class LazyRfc3339UtcTime:
    """The present moment as RFC 3339 in UTC, asked for only when a format uses it."""

    def __str__(self) -> str:
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat("T") + "Z"


class _Late:
    """A value that is asked for only when a format uses it."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask

    def __format__(self, spec: str) -> str:
        return format(self._ask(), spec)


def _note_begin() -> None:
    serving.began = perf_counter()


def _microseconds() -> str:
    """How long the request has taken, '-' if its beginning was not noted."""
    began = getattr(serving, "began", None)
    if began is None:
        _note_begins()  # the format came by a way we did not see: for the next request
        return "-"
    return str(round((perf_counter() - began) * 1e6))


def _note_begins() -> None:
    """From now on; PERF: only where a format wants to see them."""
    bus.subscribe("before_request", _note_begin, 0)


# Every manager that is alive: the files of all of them are reopened together.
_managers: weakref.WeakSet[LogManager] = weakref.WeakSet()


def reopen_all_files() -> None:
    """Close and open again the files of all managers: for after a rotation."""
    for manager in list(_managers):
        manager.reopen_files()


class LogManager:
    """The two logs of the site or of one application.

    Attributes:
        error_log, access_log: the ``logging`` loggers, free to be given handlers and levels.
        access_log_format: ``str.format`` of these atoms; nothing of them can end a line, or a quoted piece of it.

    Atoms: h (client), l (always -), u (user), t (local time), r (request line), s (status), b (octets of the body by
    Content-Length), f (Referer), a (User-Agent), o (Host), i (unique id), z (UTC time as in RFC 3339), and ours: tz
    (local time with its zone, as Apache writes it) and D (microseconds that the request took until it was logged,
    Apache's %D; a stream is sent after that).
    """

    appid: Any = None
    error_log: logging.Logger
    access_log: logging.Logger
    logger_root = "cherrypy"
    access_log_format: ClassVar[str] = '{h} {l} {u} {t} "{r}" {s} {b} "{f}" "{a}"'

    def __init__(self, appid: Any = None, logger_root: str = "cherrypy") -> None:
        self.logger_root = logger_root
        self.appid = appid
        suffix = "" if appid is None else f".{appid}"
        self.error_log = logging.getLogger(f"{logger_root}.error{suffix}")
        self.access_log = logging.getLogger(f"{logger_root}.access{suffix}")
        for logger, kind in ((self.error_log, "error"), (self.access_log, "access")):
            # An application's level is the site's; one that was configured before us stands.
            site = logging.getLogger(f"{logger_root}.{kind}")
            if site.level == logging.NOTSET:
                site.setLevel(logging.INFO)
            # silences the "no handlers" fallback to stderr
            if not any(handler.__class__ is logging.NullHandler for handler in logger.handlers):
                logger.addHandler(logging.NullHandler())
        _managers.add(self)
        if appid is not None:
            # An id is given again: the next application must not find files of this one, nor fill the memory with it.
            weakref.finalize(self, _forget, self.error_log, self.access_log).atexit = False

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "access_log_format" and "{D" in str(value):
            _note_begins()

    def reopen_files(self) -> None:
        """Close and open again the files of all file handlers: what a rotation of logs needs."""
        for logger in (self.error_log, self.access_log):
            for handler in logger.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.acquire()
                    try:
                        handler.close()
                        handler.stream = handler._open()
                    finally:
                        handler.release()

    def error(self, msg: str = "", context: str = "", severity: int = logging.INFO, traceback: bool = False) -> None:
        """Write ``[time] CONTEXT MESSAGE`` to the error log, with the current traceback if asked for."""
        exc_info = sys.exc_info() if traceback else None
        self.error_log.log(severity, " ".join((self.time(), context, msg)), exc_info=exc_info)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Write to the error log."""
        self.error(*args, **kwargs)

    def access(self) -> None:
        """Write the current request and response to the access log."""
        if not has_reader(self.access_log, logging.INFO):
            return
        request = serving.request
        atoms = self._atoms(request, serving.response)
        try:
            self.access_log.log(logging.INFO, self.access_log_format.format(**atoms))
        except (KeyError, IndexError) as unknown:
            self(
                f"log.access_log_format is {self.access_log_format!r}; there is no atom {unknown}. "
                f"Atoms are: {' '.join(atoms)}.",
                severity=logging.ERROR,
            )
        except Exception:
            self(traceback=True)

    def _atoms(self, request: Any, response: Any) -> dict[str, Any]:
        remote = request.remote
        inheaders = request.headers
        if response.output_status is None:
            status = "-"
        else:
            status = response.output_status.split(b" ", 1)[0].decode("latin-1")
        atoms: dict[str, Any] = {
            "h": remote.name or remote.ip,
            "l": "-",
            "u": getattr(request, "login", None) or "-",
            "t": self.time(),
            "r": request.request_line,
            "s": status,
            "b": response.headers.get("Content-Length") or "-",
            "f": inheaders.get("Referer", ""),
            "a": inheaders.get("User-Agent", ""),
            "o": inheaders.get("Host", "-"),
        }
        atoms = {key: _escaped(value) for key, value in atoms.items()}
        # These cannot be forged, and are left lazy: most formats do not use them.
        atoms["i"] = request.unique_id
        atoms["z"] = LazyRfc3339UtcTime()
        atoms["tz"] = _Late(_zoned_time)
        atoms["D"] = _Late(_microseconds)
        return atoms

    def time(self) -> str:
        """Return the local time as Apache's logs write it, without the zone: ``[21/Nov/2026:03:12:07]``."""
        now = datetime.datetime.now()
        month = _MONTHS[now.month - 1]
        return f"[{now.day:02d}/{month}/{now.year:04d}:{now.hour:02d}:{now.minute:02d}:{now.second:02d}]"

    # Handlers that configuration adds and removes are tagged ``_cpbuiltin``; others are the application's own.

    def _get_builtin_handler(self, log: logging.Logger, key: str) -> Any:
        for handler in log.handlers:
            if getattr(handler, "_cpbuiltin", None) == key:
                return handler
        return None

    def _set_screen_handler(self, log: logging.Logger, enable: bool, stream: TextIO | None = None) -> None:
        handler = self._get_builtin_handler(log, "screen")
        if enable and handler is None:
            self._add(log, logging.StreamHandler(sys.stderr if stream is None else stream), "screen")
        elif not enable and handler is not None:
            log.removeHandler(handler)

    def _set_wsgi_handler(self, log: logging.Logger, enable: bool) -> None:
        handler = self._get_builtin_handler(log, "wsgi")
        if enable and handler is None:
            self._add(log, WSGIErrorHandler(), "wsgi")
        elif not enable and handler is not None:
            log.removeHandler(handler)

    def _add_builtin_file_handler(self, log: logging.Logger, fname: str) -> None:
        self._add(log, logging.FileHandler(fname, encoding="utf-8"), "file")

    def _add(self, log: logging.Logger, handler: logging.Handler, key: str) -> None:
        handler.setFormatter(logfmt)
        handler._cpbuiltin = key  # type: ignore[attr-defined]
        handler.addFilter(NotTwice(log, handler))
        log.addHandler(handler)

    def _set_file_handler(self, log: logging.Logger, filename: str | None) -> None:
        key = "log.error_file" if log is self.error_log else "log.access_file"
        if filename and not isinstance(filename, str | os.PathLike):
            raise TypeError(f"{key} is {filename!r}; it has to be the path of a file, or '' for none.")
        handler = self._get_builtin_handler(log, "file")
        if handler is not None:
            if filename and handler.baseFilename == os.path.abspath(filename):
                return
            handler.close()
            log.removeHandler(handler)
        if filename:
            try:
                self._add_builtin_file_handler(log, filename)
            except OSError as error:
                reason = f"{error.strerror} ({key} has to name a file in a folder that exists, and that we may write)"
                raise OSError(error.errno, reason, os.fspath(filename)) from error

    def _file_of(self, log: logging.Logger) -> str:
        handler = self._get_builtin_handler(log, "file")
        return handler.baseFilename if handler is not None else ""

    @property
    def screen(self) -> bool:
        """True when errors go to stderr and accesses to stdout."""
        handlers = (self._get_builtin_handler(log, "screen") for log in (self.error_log, self.access_log))
        return any(handler is not None for handler in handlers)

    @screen.setter
    def screen(self, enable: bool) -> None:
        self._set_screen_handler(self.error_log, enable, stream=sys.stderr)
        self._set_screen_handler(self.access_log, enable, stream=sys.stdout)

    @property
    def error_file(self) -> str:
        """The file of the error log, '' for none."""
        return self._file_of(self.error_log)

    @error_file.setter
    def error_file(self, filename: str | None) -> None:
        self._set_file_handler(self.error_log, filename)

    @property
    def access_file(self) -> str:
        """The file of the access log, '' for none."""
        return self._file_of(self.access_log)

    @access_file.setter
    def access_file(self, filename: str | None) -> None:
        self._set_file_handler(self.access_log, filename)

    @property
    def wsgi(self) -> bool:
        """True when errors go to the ``wsgi.errors`` of the request."""
        return self._get_builtin_handler(self.error_log, "wsgi") is not None

    @wsgi.setter
    def wsgi(self, enable: bool) -> None:
        self._set_wsgi_handler(self.error_log, enable)


def _zoned_time() -> str:
    now = datetime.datetime.now().astimezone()
    return f"[{now:%d}/{_MONTHS[now.month - 1]}/{now:%Y:%H:%M:%S %z}]"


def _forget(*loggers: logging.Logger) -> None:
    """Close the files of loggers whose application is gone, and let the loggers go, unless another one has them."""
    in_use = [one for manager in list(_managers) for one in (manager.error_log, manager.access_log)]
    for logger in loggers:
        if logger in in_use:
            continue
        for handler in list(logger.handlers):
            if hasattr(handler, "_cpbuiltin"):
                logger.removeHandler(handler)
                handler.close()
        if logger.manager.loggerDict.get(logger.name) is logger:
            del logger.manager.loggerDict[logger.name]


def _escaped(value: Any) -> str:
    r"""Return *value* as a harmless piece of a log line: controls and quotes escaped, other text as octets of UTF-8.

    >>> _escaped('caf\xe9')
    'caf\\xc3\\xa9'
    """
    text = value if isinstance(value, str) else value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if text.isascii() and text.isprintable():
        # PERF: repr is needed only where there is something to escape
        return text.replace('"', '\\"')
    shown = repr(text.encode("utf-8"))[2:-1]
    # repr doubled the backslashes of the text itself
    return shown.replace("\\\\", "\\").replace("\\'", "'").replace('"', '\\"')


class GlobalLogManager(LogManager):
    """The site's logs; inside a request everything goes to the logs of the request's application."""

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Write to the error log of the request's application, outside a request to the site's."""
        self._current().error(*args, **kwargs)

    def access(self) -> None:
        """Write to the access log of the request's application, outside a request to the site's."""
        app = getattr(serving.request, "app", None)
        if app is not None and hasattr(app, "log"):
            app.log.access()
        else:
            LogManager.access(self)

    def _current(self) -> LogManager:
        app = getattr(serving.request, "app", None)
        manager = getattr(app, "log", None)
        return manager if manager is not None else self

    def error(self, msg: str = "", context: str = "", severity: int = logging.INFO, traceback: bool = False) -> None:
        """Write to the site's own error log."""
        LogManager.error(self, msg, context, severity, traceback)


log = GlobalLogManager()
