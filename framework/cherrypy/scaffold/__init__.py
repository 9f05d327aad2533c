"""A small site to copy and grow: pages, static files, and one configuration file for the site, one for the application.

Run it by ``cherryd -c cherrypy/scaffold/site.conf -i cherrypy.scaffold``.
"""

import os.path

import cherrypy
from cherrypy import tools, url

local_dir = os.path.abspath(os.path.dirname(__file__))


class Root:
    """The pages."""

    _cp_config = {"tools.log_tracebacks.on": True}

    @cherrypy.expose
    def index(self) -> str:
        """Say where to go."""
        return """<html><head><link rel="stylesheet" href="/static/site.css"></head><body>
            <h1>It works</h1>
            <p>Try <a href="sum?a=1&amp;b=2">a sum</a>, <a href="files/site.css">a file</a>, or
            <a href="other?a=3">something else</a>.</p>
            </body></html>"""

    @cherrypy.expose
    def other(self, a: str | int = 2, b: str = "bananas", c: str | None = None) -> str:
        """Show parameters that have defaults, and an address."""
        cherrypy.response.headers["Content-Type"] = "text/plain"
        return f"{a} {b}" if c is None else f"{a} {b} for {c}, see {url('/sum?a=1&b=2')}"

    @cherrypy.expose
    def sum(self, a: str, b: str) -> str:
        """Add two parameters of the query."""
        if not (a.isdecimal() and b.isdecimal()):
            raise cherrypy.HTTPError(400, "a and b have to be whole numbers.")
        return f"{int(a)} + {int(b)} = {int(a) + int(b)}"

    @cherrypy.expose
    def default(self, *args: str, **kwargs: str) -> str:
        """Answer for everything else."""
        return f"There are {len(args)} steps to nowhere."

    files = tools.staticdir.handler(section="/files", dir=os.path.join(local_dir, "static"), match=r"\.(css|txt)$")


root = Root()
cherrypy.tree.mount(root, config=os.path.join(local_dir, "app.conf"))
