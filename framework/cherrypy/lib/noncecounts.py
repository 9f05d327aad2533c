"""Which answers to a challenge of digest authentication were taken already.

Source: RFC 7616, 3.4 (nc) and 5.5 (replay).
"""

from __future__ import annotations

import re
import threading

# the standard says eight digits; some clients send fewer
_COUNT = re.compile(r"[0-9A-Fa-f]{1,16}", re.ASCII)


class NonceCounts:
    """Which counts were used with each nonce, for as long as it is valid: the same answer is not taken twice.

    SECURITY: replay of a captured request. Known to this process only.
    """

    limit = 10_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, set[int]] = {}

    def use(self, nonce: str, count: str) -> bool:
        """Note that *count* (hexadecimal) came with *nonce*; False when it was there before, or is no number."""
        if _COUNT.fullmatch(count) is None:
            return False
        number = int(count, 16)
        with self._lock:
            used = self._used.get(nonce)
            if used is None:
                if len(self._used) >= self.limit:
                    # the oldest nonce is the first; its clients get a new one
                    del self._used[next(iter(self._used))]
                used = self._used[nonce] = set()
            if number in used or len(used) >= self.limit:
                return False
            used.add(number)
            return True
