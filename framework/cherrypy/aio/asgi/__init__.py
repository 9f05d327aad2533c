"""Foreign ASGI 3 applications, grafted into the site: their requests, WebSockets and lifespan on the event loop."""
