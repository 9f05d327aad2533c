"""What of failed requests is handed to the captures: by the native server's messages, and by WSGI environments."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from kirsch.link.order import Order
from kirsch.scoreboard import Row, Writer
from kirsch.worker.capturing import Captures

_FIELDS = ("CONTENT_TYPE", "CONTENT_LENGTH")


class Failures:
    """Takes the failed requests of one worker.

    Args:
        order: says what is kept, and who the worker is.
        writer: knows the handlers.
        fault_of: returns the exception that was logged in a request, by its id.
    """

    def __init__(self, order: Order, writer: Writer, fault_of: Callable[[str], str]) -> None:
        self.captures = Captures(order, fault_of)
        self.mark = (b"X-Kirsch-Worker", order.name.encode("latin-1", "replace"))
        """Goes into failed answers: nginx's log has it then."""
        self.mark_text = ("X-Kirsch-Worker", order.name)
        self._writer = writer

    def take(self, message: Any, row: Row, began: int, status: int) -> None:
        """Keep a request of the native server's, while its row still tells of it."""
        self._take(message, (row.request_id, self._name(row)), began, status)

    def watch(self, message: Any, row: Row, began: int, over: Callable[[int], None]) -> Callable[[int], None]:
        """Return *over* with a look at what became of a request that is answered elsewhere: its class is all."""
        request = (row.request_id, self._name(row))

        def finish(status_class: int) -> None:
            over(status_class)
            if status_class == 5:
                self._take(message, request, began, 500)

        return finish

    def look_at(self, environ: dict[str, Any]) -> None:
        """Have the begin of a WSGI request's body remembered, where the pool asks for it."""
        limit = self.captures.body_bytes
        if limit:
            environ["wsgi.input"] = Seen(environ["wsgi.input"], limit)

    def take_wsgi(self, environ: dict[str, Any], row: Row, began: int, status: int) -> None:
        """Keep a request of a WSGI server's."""
        fields = [(key, str(value)) for key, value in environ.items() if key.startswith("HTTP_") or key in _FIELDS]
        seen = environ["wsgi.input"]
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if not target:
            query = environ.get("QUERY_STRING", "")
            target = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"] + (f"?{query}" if query else "")
        self.captures.keep(
            request=(row.request_id, self._name(row)),
            method=environ["REQUEST_METHOD"],
            target=target,
            headers=[(key.removeprefix("HTTP_").replace("_", "-").title(), value) for key, value in fields],
            status=status,
            began_ns=began,
            body=seen.begin if isinstance(seen, Seen) else None,
        )

    def _take(self, message: Any, request: tuple[str, str], began: int, status: int) -> None:
        limit = self.captures.body_bytes
        self.captures.keep(
            request=request,
            method=message.method,
            target=message.target,
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.headers],
            status=status,
            began_ns=began,
            body=whole_body(message.body, limit) if limit else None,
        )

    def _name(self, row: Row) -> str:
        handler = self._writer.handler(row.handler)
        return handler.code or handler.name


class Seen:
    """A WSGI input that remembers the begin of what was read."""

    def __init__(self, file: Any, limit: int) -> None:
        self._file = file
        self._limit = limit
        self.begin = b""

    def read(self, *args: Any) -> bytes:
        """As the input's."""
        return self._note(self._file.read(*args))

    def readline(self, *args: Any) -> bytes:
        """As the input's."""
        return self._note(self._file.readline(*args))

    def readlines(self, *args: Any) -> list[bytes]:
        """As the input's."""
        return [self._note(line) for line in self._file.readlines(*args)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._note, iter(self._file))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _note(self, data: bytes) -> bytes:
        if len(self.begin) <= self._limit:
            self.begin += data[: self._limit + 1 - len(self.begin)]
        return data


def whole_body(body: Any, limit: int) -> bytes | None:
    """Return the begin of a body that the native server has in memory, one octet more than *limit*; else None."""
    file = getattr(getattr(body, "read", None), "__self__", None)
    if not isinstance(file, io.BytesIO) or file.closed:
        return None
    return bytes(file.getbuffer()[: limit + 1])
