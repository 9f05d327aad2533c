"""The benchmark's application, written to CherryPy's documented API: it runs unchanged on every contender.

As a program it serves on the port given as first argument; as a module, ``application`` is its WSGI callable.
"""

import sys
import time

import cherrypy


class Root:
    """One page per scenario."""

    @cherrypy.expose
    def index(self):
        """The smallest page."""
        return "Hello, world!"

    @cherrypy.expose
    def item(self, number, colour="red"):
        """A page with a path segment and a query parameter."""
        return f"item {number} is {colour}"

    @cherrypy.expose
    @cherrypy.tools.json_out()
    def data(self):
        """A small JSON document."""
        return {"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}}

    @cherrypy.expose
    def slow(self):
        """A handler that blocks as a database call would."""
        time.sleep(0.02)
        return "slow"


QUIET = {
    "environment": "production",
    "log.screen": False,
    "log.access_file": "",
    "log.error_file": "",
    "server.socket_host": "127.0.0.1",
}


def serve(port: int, threads: int) -> None:
    """Serve on 127.0.0.1:*port* with *threads* pool threads until a signal comes."""
    cherrypy.config.update({**QUIET, "server.socket_port": port, "server.thread_pool": threads})
    cherrypy.config.update({"server.socket_queue_size": 1024})
    cherrypy.quickstart(Root(), "/")


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
else:
    cherrypy.config.update(QUIET)
    application = cherrypy.Application(Root(), "")
