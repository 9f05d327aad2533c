"""The native HTTP/1.1 server: sockets in, ``Message`` out, ``Answer`` back. It knows nothing of the framework above it.

A *responder* is any callable ``respond(message: Message) -> Answer``; see ``message.py``. What the server promises to
clients is written down in ``docs/behaviour.md``.
"""
