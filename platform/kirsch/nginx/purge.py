"""Forgetting answers that nginx keeps, by address: the free nginx has no directive for it.

Each kept answer is a file that begins with a version number and names its key some way below. A version of 0 makes it
one that nginx does not know: it asks the application again, and puts the new answer in its place. Files are not
removed: nginx would log each as lost, and count its size for ever. Whoever is being sent an old answer gets it whole.

SECURITY: the files belong to nginx's workers, which meet strangers, and we may be root: no link is followed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator

# ngx_http_file_cache_header_t begins with a word of the machine
UNKNOWN_VERSION = bytes(8)
LONGEST_KEY_BYTES = 2**17
_FIRST_BYTES = 2048
_KEY = re.compile(rb"\nKEY: ([^\n]*)\n")
# a kept answer, or one that is being written: it will get that name
_NAME = re.compile(r"[0-9a-f]{32}(?:\.[0-9]{10})?\Z")


def purge(folder: str, what: str) -> int:
    """Forget the answers in nginx's cache *folder* that *what* names; return how many.

    *what* is an address as clients write it (``https://shop.example/news?page=2``), with ``*`` at its end everything
    that begins so, and ``*`` alone is all. Variants of one address (``Vary``) count each.

    Raises:
        ValueError: *what* is no address.
    """
    is_meant = matcher(what)
    found = 0
    for directory, name in _kept(folder):
        try:
            found += _forget(directory, name, is_meant)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
    return found


def matcher(what: str) -> Callable[[bytes], bool]:
    """Return what tells whether a key is meant by *what*.

    Raises:
        ValueError: *what* is no address.
    """
    if what != "*" and not re.match(r"https?://[^/\s]+/\S*\Z", what):
        raise ValueError(f'{what!r}: allowed: "https://shop.example/news", with "*" at its end all below, "*" alone')
    wanted = what.removesuffix("*").encode("utf-8")
    return (lambda key: key.startswith(wanted)) if what.endswith("*") else (lambda key: key == wanted)


def _kept(folder: str) -> Iterator[tuple[int, str]]:
    """Each file of the cache: an open folder, and its name in there."""
    try:
        walk = os.fwalk(folder, onerror=_complain, follow_symlinks=False)
        for _, _, names, directory in walk:
            yield from ((directory, name) for name in names if _NAME.match(name))
    except FileNotFoundError:
        return


def _complain(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _forget(directory: int, name: str, is_meant: Callable[[bytes], bool]) -> bool:
    descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        # a second name could be somebody else's file
        is_own = stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.fstat(directory).st_uid
        head = os.pread(descriptor, _FIRST_BYTES, 0) if is_own else b""
        if b"\nKEY: " in head and not _KEY.search(head):
            head = os.pread(descriptor, LONGEST_KEY_BYTES, 0)
        key = _KEY.search(head)
        if key is None or head.startswith(UNKNOWN_VERSION) or not is_meant(key[1]):
            return False
        os.pwrite(descriptor, UNKNOWN_VERSION, 0)
        return True
    finally:
        os.close(descriptor)
