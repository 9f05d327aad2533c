"""The benchmark's application, written to CherryPy's documented API: it runs unchanged on every contender.

``serve`` serves it by the framework's own server; as a module, ``application`` is its WSGI callable.
"""

import os
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

    @cherrypy.expose
    def upload(self):
        """A body that is read whole."""
        return str(len(cherrypy.request.body.read()))


#: The folder of /file.
FILES = {"/file": {"tools.staticdir.on": True, "tools.staticdir.dir": os.environ.get("BENCH_FILES", "/nonexistent")}}
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
    if certificate := os.environ.get("BENCH_CERTIFICATE"):
        cherrypy.config.update({"server.ssl_module": "builtin", "server.ssl_certificate": certificate})
        cherrypy.config.update({"server.ssl_private_key": os.environ["BENCH_KEY"]})
    cherrypy.quickstart(Root(), "/", FILES)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
else:
    cherrypy.config.update(QUIET)
    application = cherrypy.Application(Root(), "", FILES)
