"""Sessions as files: one for the data and one for the lock each, shared by the processes of a machine."""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log
from cherrypy.lib.locking import LockChecker
from cherrypy.lib.sessions.outage import outage
from cherrypy.lib.sessions.serializer import Stored
from cherrypy.lib.sessions.session import Session
from cherrypy.lib.sessions.settings import Rule


class FileLock:
    """A lock file, held by ``flock``: the kernel frees it when its holder dies.

    The file may be removed while it is locked; whoever waited for it then notices and takes the new one.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock; False if it is not free and *blocking* is off."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
                if self._is_still_ours(descriptor):
                    self._descriptor = descriptor
                    return True
            except BlockingIOError:
                os.close(descriptor)
                return False
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _is_still_ours(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self, remove: bool = False) -> None:
        """Give the lock back; *remove* its file as well."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if remove:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        os.close(descriptor)


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_renameat2: Callable[..., int] | None = getattr(ctypes.CDLL(None), "renameat2", None)


def _put_in_place(draft: str, path: str, *, only_again: bool) -> None:
    """Let the file *draft* be that at *path*, in one step; with *only_again* not if there is none any more.

    PERF: ext4 writes a file to the disk before it replaces another: 0.25 to 2.2 ms; when two change places it does not:
    0.04 to 0.13 ms (500 files of 200 octets each, written and put in place).
    """
    names = (_AT_FDCWD, os.fsencode(draft), _AT_FDCWD, os.fsencode(path))
    if _renameat2 is not None and _renameat2(*names, _RENAME_EXCHANGE) == 0:
        # what was at path before
        os.unlink(draft)
    elif only_again and not os.path.exists(path):
        # the session was purged meanwhile, and stays away
        os.unlink(draft)
    else:
        # the first of its name, or a file system or a libc that cannot
        os.replace(draft, path)


@contextlib.contextmanager
def _answering(path: str) -> Iterator[None]:
    """Answer 503 when the file system fails: taken for an empty session, the real one would be written over."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise outage(path, error) from error


class FileSession(Session):
    """A session in a file of ``storage_path``.

    Attributes:
        storage_path: the directory; made if it is not there. Required.
        SESSION_PREFIX, LOCK_SUFFIX: parts of the file names.

    SECURITY: with the 'pickle' serializer whoever can write to ``storage_path`` runs code here; it is made for this
    user alone, and so are the files.
    """

    SESSION_PREFIX = "session-"
    LOCK_SUFFIX = ".lock"
    DRAFT_PREFIX = ".draft-"
    storage_path: str
    is_shared = True
    rules: ClassVar[dict[str, Rule]] = {
        "storage_path": (lambda value: bool(value) and isinstance(value, str | os.PathLike), "the path of a directory")
    }

    _storage_paths: ClassVar[set[str]] = set()
    lock: Any = None
    """What is held while ``locked``: a ``FileLock``, or what a subclass put here that has a ``close``."""

    def __init__(self, id: str | None = None, **kwargs: Any) -> None:
        if "storage_path" not in kwargs and not hasattr(self, "storage_path"):
            raise TypeError("file sessions need tools.sessions.storage_path, the directory to keep them in")
        kwargs["storage_path"] = os.path.abspath(kwargs.get("storage_path") or self.storage_path)
        if id is not None:
            self.storage_path = kwargs["storage_path"]
            self._id = id
            self._get_file_path()
        self._id = None
        self._know(kwargs["storage_path"])
        super().__init__(id, **kwargs)
        self.lock_timeout = self._patience

    @classmethod
    def _know(cls, path: str) -> None:
        if path not in cls._storage_paths:
            with _answering(path):
                os.makedirs(path, mode=0o700, exist_ok=True)
            cls._storage_paths.add(path)

    @classmethod
    def setup(cls, **kwargs: Any) -> None:
        """Take the directory as the class's own; the other settings are each application's."""
        if "storage_path" in kwargs:
            cls.storage_path = os.path.abspath(kwargs["storage_path"])

    def _get_file_path(self) -> str:
        """Where this session is kept.

        Raises:
            HTTPError: 400 for an id that would lead out of the directory.
        """
        path = os.path.join(self.storage_path, f"{self.SESSION_PREFIX}{self._id}")
        if "\0" in path or os.path.dirname(os.path.abspath(path)) != self.storage_path:
            raise HTTPError(400, "Invalid session id in cookie.")
        return path

    def _exists(self) -> bool:
        path = self._get_file_path()
        try:
            with _answering(path):
                os.stat(path)
        except FileNotFoundError:
            return False
        return True

    def _require_lock(self, act: str) -> None:
        if not self.locked:
            raise AssertionError(f"The session {act} without being locked.  Check your tools' priority levels.")

    def _load(self, path: str | None = None) -> Stored | None:
        self._require_lock("load")
        return self._read(path or self._get_file_path())

    def _read(self, path: str) -> Stored | None:
        try:
            with _answering(path), open(path, "rb") as file:
                packed = file.read()
        except FileNotFoundError:
            return None
        return self._unpack(packed, path)

    def _save(self, expiration_time: datetime.datetime) -> None:
        self._require_lock("was saved")
        packed = self._serializer.pack(self._data, expiration_time)
        path = self._get_file_path()
        with _answering(path):
            # a crash while writing leaves the old file whole
            descriptor, draft = tempfile.mkstemp(prefix=self.DRAFT_PREFIX, dir=self.storage_path)
            try:
                with open(descriptor, "wb") as file:
                    file.write(packed)
                _put_in_place(draft, path, only_again=self._was_stored)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
                raise

    def _delete(self) -> None:
        self._require_lock("was deleted")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._get_file_path())

    def acquire_lock(self, path: str | None = None) -> None:
        """Wait until no other request works on this session.

        Raises:
            LockTimeout: ``lock_timeout`` has passed.
        """
        if self.locked:
            return
        lock = FileLock((path or self._get_file_path()) + self.LOCK_SUFFIX)
        with _answering(lock.path):
            try:
                self._wait_for(lock)
            except FileNotFoundError:
                # someone has tidied up the directory
                os.makedirs(self.storage_path, mode=0o700, exist_ok=True)
                self._wait_for(lock)
        self.lock = lock
        self.locked = True

    def _wait_for(self, lock: FileLock) -> None:
        if not self.lock_timeout:
            lock.acquire()
            return
        checker = LockChecker(self._id or "", self._patience)
        pause_s = 0.0005
        while not lock.acquire(blocking=False) and not checker.expired():
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.01)

    def release_lock(self, path: str | None = None) -> None:
        """Let other requests work on this session; the lock's file goes if the session has none."""
        if not self.locked:
            return
        self.locked = False
        lock, self.lock = self.lock, None
        if isinstance(lock, FileLock):
            lock.release(remove=not os.path.exists(lock.path.removesuffix(self.LOCK_SUFFIX)))
        elif lock is not None:
            lock.close()

    def clean_up(self) -> None:
        """Remove the files of expired sessions, in all directories that sessions were kept in."""
        for path in {self.storage_path, *self._storage_paths}:
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(path):
                    if name.startswith(self.SESSION_PREFIX):
                        self._clean_file(os.path.join(path, name))
                    elif name.startswith(self.DRAFT_PREFIX):
                        self._clean_draft(os.path.join(path, name))

    def _clean_file(self, path: str) -> None:
        is_lock = path.endswith(self.LOCK_SUFFIX)
        session_path = path.removesuffix(self.LOCK_SUFFIX)
        if is_lock and os.path.exists(session_path):
            return
        # a wall: one broken or foreign file must not keep the others
        try:
            lock = FileLock(session_path + self.LOCK_SUFFIX)
            if not lock.acquire(blocking=False):
                # in use, so not expired
                return
            try:
                if not is_lock and self._is_expired(session_path):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(session_path)
            finally:
                lock.release(remove=not os.path.exists(session_path))
        except Exception:
            log(f"Cannot clean up session file {path}", "TOOLS.SESSIONS", severity=30, traceback=True)

    def _clean_draft(self, path: str) -> None:
        # writing takes no hour: its writer has died
        with contextlib.suppress(OSError):
            if os.stat(path).st_mtime + 3600 < time.time():
                os.unlink(path)

    def _is_expired(self, path: str) -> bool:
        stored = self._read(path)
        if stored is not None:
            return self._is_past(stored[1])
        # unreadable: keep it for as long as a session may rest, someone may want to look at it
        try:
            return os.stat(path).st_mtime + self.timeout * 60 < time.time()
        except FileNotFoundError:
            return False

    def _files(self) -> Iterator[str]:
        for name in os.listdir(self.storage_path):
            if name.startswith(self.SESSION_PREFIX) and not name.endswith(self.LOCK_SUFFIX):
                yield name

    def store_name(self) -> str:
        """Name the directory."""
        return f"files in {self.storage_path}"

    def _ids(self) -> Iterator[str]:
        return (name.removeprefix(self.SESSION_PREFIX) for name in self._files())

    def _peek(self, session_id: str) -> Stored | None:
        self._id = session_id
        return self._read(self._get_file_path())

    def _remove(self, session_id: str) -> bool:
        self._id = session_id
        path = self._get_file_path()
        try:
            with _answering(path):
                os.unlink(path)
        except FileNotFoundError:
            return False
        return True

    def __len__(self) -> int:
        """The number of sessions."""
        return sum(1 for _ in self._files())

    def __bool__(self) -> bool:
        return True
