"""The event loop room: asynchronous pages, streams, server-sent events, WebSockets, grafted ASGI applications."""
