"""What every session is: an id, a dict that is loaded when it is touched, a lock."""

from __future__ import annotations

import datetime
import os
import pickle
import re
import threading
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, ClassVar

from cherrypy.core.logs import log
from cherrypy.lib.locking import as_timeout
from cherrypy.lib.sessions.purging import Purgeable
from cherrypy.lib.sessions.serializer import Serializer, Stored, serializer_for
from cherrypy.lib.sessions.settings import Rule
from cherrypy.process.plugins import Monitor
from cherrypy.process.wspbus import bus

missing = object()


class Session(Purgeable):
    """A dict that lives for as long as the client comes back in time. A store implements what is named below.

    A store has ``_exists()``, ``_load()`` -> (data, expiration) or None, ``_save(expiration)``, ``_delete()``,
    ``acquire_lock()``, ``release_lock()``; it may have ``setup(**kwargs)``, called once per class before its first
    session, ``clean_up()`` and ``__len__()``, the number of sessions, ``rules`` for settings of its own, and what
    ``Purgeable`` says: ``_ids()``, the ids of all sessions, so that they can be purged.

    The lock is held until the session is saved: when the answer goes out, with a streamed one at its end. A page that
    is done with its session earlier (a long poll, a download) calls ``save()``, and is not saved again unless it sets
    another key or takes the lock once more.

    Attributes:
        id_observers: called with the new id whenever it changes.
        timeout: minutes without a request after which the session is forgotten.
        locked: True while this object holds the session's lock.
        loaded: True when the data were read from the store.
        clean_thread: the monitor that calls ``clean_up``; one per store class.
        clean_freq: minutes between its runs; 0 for never.
        originalid: the id the client sent.
        missing: True when the client's id named no session.
        regenerated: True when the application asked for a new id.
        is_closed: True when its request is over.
        cookie_name: of the cookie that carries the id.
        lock_timeout: seconds or timedelta to wait for the lock, None or nought for ever; kept as given, since stores of
            others have meanings of their own for it.
        serializer: 'pickle', 'json', or an object with ``dumps`` and ``loads``; not used by stores in memory.
        pickle_protocol: for 'pickle'.
        debug: log what is done.
        rules: {setting: (test, words)} of the store's own settings.
    """

    _id: str | None = None
    id_observers: list[Callable[[str | None], Any]] = []
    timeout: float = 60
    loaded = False
    clean_thread: ClassVar[Any] = None
    clean_freq: float = 5
    originalid: str | None = None
    missing = False
    regenerated = False
    is_closed = False
    cookie_name = "session_id"
    debug = False
    lock_timeout: float | datetime.timedelta | None = None
    serializer: Any = "pickle"
    pickle_protocol: int = pickle.HIGHEST_PROTOCOL
    rules: ClassVar[dict[str, Rule]] = {}

    # SECURITY: an id from a cookie becomes a key or a file name; anything else than this was not issued by us, and the
    # name of a lock is no id
    id_pattern: re.Pattern[str] = re.compile(r"(?!.*[.:]lock\Z)[A-Za-z0-9_.:=+~-]{16,128}", re.ASCII)

    _starting: ClassVar[threading.Lock] = threading.Lock()
    _data: dict[str, Any]
    _locked = False
    _had_lock = False
    # a key was set or removed since the data were loaded or saved
    _is_changed = False
    _is_saved = False
    _is_deleted = False
    # the data came from the store
    _was_stored = False
    _has_vanished = False

    def __init__(self, id: str | None = None, **kwargs: Any) -> None:
        self.id_observers = []
        self._data = {}
        for name, value in kwargs.items():
            setattr(self, name, value)
        self.originalid = id
        self.missing = False
        if id is not None:
            if self.id_pattern.fullmatch(id):
                self._id = id
                if self._exists():
                    return
                self._id = None
            # SECURITY: session fixation; never take up an id that we have not given out
            self._debug(f"Session {id!r} does not exist, making a new one")
            self.missing = True
        self._regenerate()

    @property
    def id(self) -> str | None:
        """The session's name; setting it tells the observers."""
        return self._id

    @id.setter
    def id(self, value: str | None) -> None:
        self._id = value
        for observe in self.id_observers:
            observe(value)

    @property
    def _patience(self) -> datetime.timedelta | None:
        """How long to wait for the lock."""
        return as_timeout(self.lock_timeout)

    @property
    def locked(self) -> bool:
        """True while this object holds the session's lock; a store sets it."""
        return self._locked

    @locked.setter
    def locked(self, value: bool) -> None:
        self._locked = value
        self._had_lock = self._had_lock or bool(value)

    @property
    def _serializer(self) -> Serializer:
        return serializer_for(self.serializer, self.pickle_protocol)

    def _unpack(self, octets: bytes, where: str) -> Stored | None:
        """Read what the store had; None for what cannot be read, which is lost, but its neighbours are not."""
        try:
            data, expiration = self._serializer.unpack(octets)
            if not (isinstance(data, dict) and isinstance(expiration, datetime.datetime)):
                raise TypeError("not a dict and a moment")
        except Exception as error:
            # cut short, of a class that is no more, or by another serializer
            log(f"Cannot read session {where}: {error!r}", "TOOLS.SESSIONS", severity=30, traceback=self.debug)
            return None
        return data, expiration

    def _debug(self, message: str) -> None:
        if self.debug:
            log(message, "TOOLS.SESSIONS")

    def now(self) -> datetime.datetime:
        """The present moment as this store reckons it; override it for times with zones."""
        return datetime.datetime.now()

    def _is_past(self, moment: datetime.datetime) -> bool:
        now = self.now()
        if (moment.tzinfo is None) != (now.tzinfo is None):
            # an application has begun, or ceased, to override ``now``; without a zone it is local time
            return moment.astimezone() < now.astimezone()
        return moment < now

    def regenerate(self) -> None:
        """Give the session a new id, with its data: do it at every login."""
        self.regenerated = True
        # the data belong to the client, only the name must change
        if not self.loaded and not self.missing and self._id is not None:
            with self._borrowed_lock():
                self.load()
        self._regenerate()

    def _borrowed_lock(self) -> Any:
        return _Borrowed(self)

    def _regenerate(self) -> None:
        was_locked = self.locked
        if self._id is not None:
            self._debug(f"Deleting the existing session {self._id!r} before regeneration")
            data = self._data
            with self._borrowed_lock():
                self.delete()
            self._data = data
            # under the new name there is nothing yet
            self._is_changed = self.loaded
            self._is_deleted = self._is_saved = self._was_stored = False
        if self.locked:
            self.release_lock()
        identifier = self.generate_id()
        while True:
            self._id = identifier
            if not self._exists():
                break
            identifier = self.generate_id()
        self.id = identifier
        if was_locked:
            self.acquire_lock()
        self._debug(f"Generated session {self._id!r}")

    def clean_up(self) -> None:
        """Drop expired sessions; called by the monitor."""

    def generate_id(self) -> str:
        """Return a new id of 160 random bits, as 40 hexadecimal digits."""
        return os.urandom(20).hex()

    def save(self) -> None:
        """Write the data to the store, if they were loaded, and release the lock."""
        try:
            if self.loaded and self._has_news():
                self._write()
        finally:
            if self.locked:
                self.release_lock()

    def _has_news(self) -> bool:
        if self._is_deleted or (self._is_saved and not self.locked):
            return self._is_changed
        return True

    def _write(self) -> None:
        if self._had_lock and not self.locked:
            # the page gave its lock back before its end
            with self._borrowed_lock():
                # SECURITY: what another request has logged out meanwhile must not be logged in again
                if self._exists() or not self._was_stored:
                    self._save_now()
        else:
            self._save_now()

    def _save_now(self) -> None:
        expiration = self.now() + datetime.timedelta(seconds=self.timeout * 60)
        self._debug(f"Saving session {self._id!r} with expiry {expiration}")
        self._save(expiration)
        self._is_changed = self._is_deleted = False
        self._is_saved = self._was_stored = True

    def load(self) -> None:
        """Read the data from the store; an expired session is empty."""
        stored = self._load()
        self._has_vanished = stored is None and self._was_known()
        if stored is None or self._is_past(stored[1]):
            self._debug(f"Expired or absent session {self._id!r}, starting empty")
            self._data = {}
        else:
            self._data = stored[0]
            self._was_stored = True
        self.loaded = True
        # a subclass may keep its sessions elsewhere: the cleaner of its base is not its own
        if self.clean_freq and vars(type(self)).get("clean_thread") is None and self._has_cleaner():
            self._start_cleaning()

    def _has_cleaner(self) -> bool:
        # a store that forgets by itself needs no thread to do nothing
        return type(self).clean_up is not Session.clean_up

    def _was_known(self) -> bool:
        return self._id is not None and self._id == self.originalid and not self._is_deleted

    def has_vanished(self) -> bool:
        """True when another request has deleted or renamed this session since the present one began."""
        if self.loaded or not self._was_known():
            return self._has_vanished and self._was_known()
        return not self._exists()

    def _start_cleaning(self) -> None:
        cls = type(self)
        with self._starting:
            if vars(cls).get("clean_thread") is not None:
                return
            monitor = Monitor(bus, self._clean_up_and_go_on, self.clean_freq * 60, name="Session cleanup")
            cls.clean_thread = monitor
        monitor.subscribe()
        monitor.start()

    def _clean_up_and_go_on(self) -> None:
        # a wall: an error would end the monitor's thread, and sessions would pile up for ever
        try:
            self.clean_up()
        except Exception:
            log("Session cleanup failed", "TOOLS.SESSIONS", severity=40, traceback=True)

    def delete(self) -> None:
        """Remove the session, and its data; what is set afterwards is a new one's."""
        self._delete()
        self._data = {}
        self._is_changed = self._was_stored = False
        self._is_deleted = True
        self._debug(f"Deleted session {self._id!r}")

    # What a store implements

    def _exists(self) -> bool:
        raise NotImplementedError

    def _load(self) -> Stored | None:
        raise NotImplementedError

    def _save(self, expiration_time: datetime.datetime) -> None:
        raise NotImplementedError

    def _delete(self) -> None:
        raise NotImplementedError

    def acquire_lock(self) -> None:
        """Wait until no other request works on this session."""
        raise NotImplementedError

    def release_lock(self) -> None:
        """Let other requests work on this session."""
        raise NotImplementedError

    # The dict

    def _loaded_data(self) -> dict[str, Any]:
        if not self.loaded:
            self.load()
        return self._data

    def _changing_data(self) -> dict[str, Any]:
        data = self._loaded_data()
        self._is_changed = True
        return data

    def __getitem__(self, key: str) -> Any:
        return self._loaded_data()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._changing_data()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._changing_data()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._loaded_data()

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded_data())

    def pop(self, key: str, default: Any = False) -> Any:
        """Remove *key* and return its value, *default* if there is none."""
        return self._changing_data().pop(key, default)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of *key*, or *default*."""
        return self._loaded_data().get(key, default)

    def update(self, d: Mapping[str, Any]) -> None:
        """Take in the items of *d*."""
        self._changing_data().update(d)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of *key*, set to *default* if it has none."""
        return self._changing_data().setdefault(key, default)

    def clear(self) -> None:
        """Remove all items."""
        self._changing_data().clear()

    def keys(self) -> KeysView[str]:
        """The keys."""
        return self._loaded_data().keys()

    def items(self) -> ItemsView[str, Any]:
        """The items."""
        return self._loaded_data().items()

    def values(self) -> ValuesView[Any]:
        """The values."""
        return self._loaded_data().values()


class _Borrowed:
    """The session's lock for the length of a ``with`` block; one that is held already stays held."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.was_locked = session.locked

    def __enter__(self) -> None:
        if not self.was_locked:
            self.session.acquire_lock()

    def __exit__(self, *exc_info: object) -> None:
        if not self.was_locked and self.session.locked:
            self.session.release_lock()
