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
from typing import Any, ClassVar, TextIO

from cherrypy.context import serving
from cherrypy.core.accessfile import FLUSH_S, AccessFile, logfmt
from cherrypy.core.accesslines import ATOMS, format_of, json_line, local_time
from cherrypy.core.accesswriting import write_access
from cherrypy.core.loghandlers import NotTwice, WSGIErrorHandler, has_reader

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


class LazyRfc3339UtcTime:
    """The present moment as RFC 3339 in UTC, asked for only when a format uses it."""

    def __str__(self) -> str:
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat("T") + "Z"


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
        access_format: "text" for lines by ``access_log_format``, "json" for objects; None, of an application: as the
            site's.
        access_flush_s: seconds that a line may wait to be written to ``access_file`` while there are many, 0 to 60;
            None: half a second, of an application: as the site's.
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
    access_format: str | None = None
    access_flush_s: float | None = None

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
        if name == "access_format" and value not in (None, "text", "json"):
            raise ValueError(f"log.access_format is {value!r}; it has to be 'text' or 'json'.")
        if name == "access_flush_s" and not _is_flush_time(value):
            raise ValueError(f"log.access_flush_s is {value!r}; it has to be seconds, 0 (each line at once) to 60.")
        super().__setattr__(name, value)
        if name == "access_flush_s":
            handler = self._get_builtin_handler(self.access_log, "file")
            if handler is not None:
                handler.flush_s = self._flush_s()
                handler.flush()

    def _flush_s(self) -> float:
        for own in (self.access_flush_s, log.access_flush_s):
            if own is not None:
                return own
        return FLUSH_S

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
        try:
            if self._kind_of_line() == "json":
                line = json_line(serving.request, serving.response)
            else:
                line = format_of(self.access_log_format).line(self, serving.request, serving.response)
            write_access(self.access_log, line)
        except (KeyError, IndexError) as unknown:
            self(
                f"log.access_log_format is {self.access_log_format!r}; there is no atom {unknown}. "
                f"Atoms are: {' '.join(ATOMS)}.",
                severity=logging.ERROR,
            )
        except Exception:
            self(traceback=True)

    def _kind_of_line(self) -> str:
        return self.access_format or log.access_format or "text"

    def time(self) -> str:
        """Return the local time as Apache's logs write it, without the zone: ``[21/Nov/2026:03:12:07]``."""
        return local_time()

    def utc_time(self) -> LazyRfc3339UtcTime:
        """Return the present time in UTC, written when it is used: ``2026-11-21T03:12:07.123456Z``."""
        return LazyRfc3339UtcTime()

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
        if log is self.access_log:
            self._add(log, AccessFile(fname, self._flush_s()), "file")
        else:
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


def _is_flush_time(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 60)


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
