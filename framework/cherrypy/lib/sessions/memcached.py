"""Sessions in memcached, shared by the workers of several machines. Needs the package ``python-memcached``."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import secrets
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, ClassVar, Never

from cherrypy.lib.locking import LockChecker
from cherrypy.lib.sessions import threadlocks
from cherrypy.lib.sessions.outage import outage, tell_lost_lock
from cherrypy.lib.sessions.serializer import Stored
from cherrypy.lib.sessions.session import Session
from cherrypy.lib.sessions.settings import SECONDS, Rule, is_number

_ABSENT = object()


class _NoPickles:
    """SECURITY: for items that the client library would unpickle: we store octets, so they are not ours."""

    def __init__(self, file: Any) -> None: ...

    def load(self) -> Never:
        """Refuse."""
        raise ValueError("a pickle, where octets were stored")


def _is_server_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, str | tuple) for one in value)


#: How long memcached may look through its keys for somebody else before it does for us.
_CRAWLER_S = 10.0


def _keys_of(host: Any) -> list[str]:
    """Ask a server for all its keys, again while it looks through them for others.

    Source: memcached's doc/protocol.txt, "LRU_Crawler".
    """
    deadline = time.monotonic() + _CRAWLER_S
    while (answer := _dump_of(host)).startswith(b"BUSY") and time.monotonic() < deadline:
        time.sleep(0.05)
    if not answer.endswith(b"END\r\n"):
        raise NotImplementedError(f"memcached does not list its keys: {answer[-200:]!r}")
    lines = answer.split(b"\n")
    return [urllib.parse.unquote(line[4:].split(b" ", 1)[0].decode("ascii")) for line in lines if line[:4] == b"key="]


def _dump_of(host: Any) -> bytes:
    """Return the whole answer: lines that end with a line feed, the last one, or an error, with a return before it."""
    host.send_cmd("lru_crawler metadump all")
    answer = bytearray()
    while not answer.endswith(b"\r\n"):
        piece = host.socket.recv(65536)
        if not piece:
            host.close_socket()
            break
        answer += piece
    return bytes(answer)


class MemcachedSession(Session):
    """A session in memcached, which forgets it by itself.

    Attributes:
        servers: 'host:port' or 'unix:/path' of each server.
        cache: the client of the class's own ``servers``; an application may put another library's here.
        mc_lock: held around each call of a client that is not safe for threads.
        locks: {id: lock} within this process.
        lock_lifetime_s: after which the lock of a worker that died is free; 0 to lock within this process only.
        store_timeout_s: to wait for a server; then the answer is 503.
    """

    mc_lock = threading.RLock()
    locks: ClassVar[dict[str, threading.Lock]] = {}
    servers: list[str] = ["localhost:11211"]
    cache: Any = None
    lock_lifetime_s: int = 60
    store_timeout_s: float = 3.0
    is_shared = True
    rules: ClassVar[dict[str, Rule]] = {
        "servers": (_is_server_list, "a list of 'host:port' or 'unix:/path'"),
        "lock_lifetime_s": (lambda value: is_number(value) and value >= 0, "a number of seconds, 0 for no shared lock"),
        "store_timeout_s": SECONDS,
    }

    _clients: ClassVar[dict[tuple[Any, ...], Any]] = {}
    _lock_token: str | None = None

    def __init__(self, id: str | None = None, **kwargs: Any) -> None:
        if self.cache is None or self.cache in self._clients.values():
            # an application may have other servers than its neighbours
            self.cache = self._client_for(
                kwargs.get("servers", self.servers),
                kwargs.get("store_timeout_s", self.store_timeout_s),
                kwargs.get("serializer", self.serializer),
            )
        super().__init__(id, **kwargs)

    @classmethod
    def setup(cls, **kwargs: Any) -> None:
        """Take the servers as the class's own, and make their client; the other settings are each application's."""
        cls.servers = list(kwargs.get("servers", cls.servers))
        cls.cache = cls._client_for(cls.servers, cls.store_timeout_s, cls.serializer)

    @classmethod
    def _client_for(cls, servers: Any, timeout_s: float, serializer: Any) -> Any:
        """Return the client of *servers*: one for all sessions there, with connections for each thread."""
        memcache = importlib.import_module("memcache")
        key = (memcache, tuple(servers), timeout_s, serializer == "pickle")
        client = cls._clients.get(key)
        if client is None:
            # COMPAT: CherryPy let the library pickle, and such items go on being read
            settings = {} if serializer == "pickle" else {"unpickler": _NoPickles}
            client = memcache.Client(
                list(servers), socket_timeout=timeout_s, dead_retry=5, server_max_value_length=0, **settings
            )
            client = cls._clients.setdefault(key, client)
        return client

    def _turn(self) -> contextlib.AbstractContextManager[Any]:
        # the client of python-memcached is a thread-local object: no thread waits for the slow answer of another
        return contextlib.nullcontext() if isinstance(self.cache, threading.local) else self.mc_lock

    def _require_answer(self) -> None:
        """Tell a refusal from silence: the client returns nothing for both.

        Raises:
            HTTPError: 503 when no server answers.
        """
        hosts = getattr(self.cache, "servers", None)
        if hosts and not any(host.connect() for host in hosts):
            raise outage(f"memcached at {', '.join(map(str, self.servers))}", "no connection")

    def _get(self, key: str) -> Any:
        with self._turn():
            value = self.cache.get(key, _ABSENT)
            if value is None:
                self._require_answer()
        return None if value is _ABSENT else value

    def _exists(self) -> bool:
        return self._get(self._id or "") is not None

    def _load(self) -> Stored | None:
        packed = self._get(self._id or "")
        if isinstance(packed, bytes):
            return self._unpack(packed, f"{self._id} in memcached")
        stored: Stored | None = packed
        return stored

    def _save(self, expiration_time: datetime.datetime) -> None:
        packed = self._serializer.pack(self._data, expiration_time)
        with self._turn():
            # what was purged meanwhile stays away
            put = self.cache.replace if self._was_stored else self.cache.set
            if not put(self._id, packed, int(expiration_time.timestamp())):
                self._require_answer()
                if self._was_stored and self._takes(packed):
                    return
                raise ValueError(
                    f"memcached refused the session's {len(packed)} octets; its limit for one item (memcached -I) "
                    "is 1 MB unless set otherwise."
                )

    def _takes(self, packed: bytes) -> bool:
        """True if it is not for its size that something was not kept."""
        # no cookie can name this key
        return bool(self.cache.set(f"{self._id}/size", packed, 1) and self.cache.delete(f"{self._id}/size"))

    def _delete(self) -> None:
        with self._turn():
            if not self.cache.delete(self._id):
                self._require_answer()

    def acquire_lock(self) -> None:
        """Wait until no other request, here or in another worker, works on this session.

        Raises:
            LockTimeout: ``lock_timeout`` has passed.
            HTTPError: 503 when no server answers.
        """
        if self.locked:
            return
        threadlocks.acquire(self.locks, self._id or "", self._patience)
        try:
            self._acquire_shared_lock()
        except BaseException:
            threadlocks.release(self.locks, self._id)
            threadlocks.drop_if_free(self.locks, self._id or "")
            raise
        self.locked = True

    def _acquire_shared_lock(self) -> None:
        if not self.lock_lifetime_s:
            return
        token = secrets.token_hex(16)
        checker = LockChecker(self._id or "", self._patience)
        pause_s = 0.001
        while True:
            with self._turn():
                if self.cache.add(f"{self._id}.lock", token, self.lock_lifetime_s):
                    self._lock_token = token
                    return
                self._require_answer()
            checker.expired()
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.02)

    def release_lock(self) -> None:
        """Let other requests work on this session."""
        if not self.locked:
            return
        self.locked = False
        token, self._lock_token = self._lock_token, None
        if token is not None:
            with self._turn():
                # after its lifetime it may be another worker's; of a store that has died since it goes by itself
                if self.cache.get(f"{self._id}.lock") == token:
                    self.cache.delete(f"{self._id}.lock")
                else:
                    tell_lost_lock(self.lock_lifetime_s)
        threadlocks.release(self.locks, self._id)
        threadlocks.drop_if_free(self.locks, self._id or "")

    def store_name(self) -> str:
        """Name the servers."""
        return f"memcached at {', '.join(map(str, self.servers))}"

    def _ids(self) -> Iterator[str]:
        """List what looks like a session: the keys have no prefix, and may be of others."""
        for key in self._keys():
            if self.id_pattern.fullmatch(key) and self._is_session(key):
                yield key

    def _is_session(self, key: str) -> bool:
        packed = self._get(key)
        if not isinstance(packed, bytes):
            return isinstance(packed, tuple) and len(packed) == 2
        try:
            data, expiration = self._serializer.unpack(packed)
        except Exception:  # of others
            return False
        return isinstance(data, dict) and isinstance(expiration, datetime.datetime)

    def _keys(self) -> list[str]:
        """Return the keys of all servers.

        Raises:
            NotImplementedError: a server, or the client of an application's own, does not tell.
            HTTPError: 503 when no server answers.
        """
        hosts = getattr(self.cache, "servers", None)
        if not hosts or not all(hasattr(host, "send_cmd") for host in hosts):
            raise NotImplementedError("this client of memcached cannot list sessions: purge them by their ids")
        found: list[str] = []
        with self._turn():
            self._require_answer()
            for host in hosts:
                if host.connect():
                    found += _keys_of(host)
        return found

    def _remove(self, session_id: str) -> bool:
        with self._turn():
            # the client says 1 also for what was not there
            was_there = self.cache.get(session_id, _ABSENT) is not _ABSENT
            return bool(self.cache.delete(session_id)) and was_there

    def __len__(self) -> int:
        """Not to be had: memcached does not tell.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError

    def __bool__(self) -> bool:
        return True
