"""A page from a file, and the service its script calls, at one site."""

import os
import random

import cherrypy


class Table(object):  # noqa: UP004
    @cherrypy.expose
    def index(self):
        return open("index.html")


@cherrypy.expose
class Throw(object):  # noqa: UP004
    @cherrypy.tools.accept(media="text/plain")
    def GET(self):
        return cherrypy.session["thrown"]

    def POST(self, count=2):
        thrown = "".join(str(random.randint(1, 6)) for _ in range(int(count)))
        cherrypy.session["thrown"] = thrown
        return thrown

    def PUT(self, other):
        cherrypy.session["thrown"] = other

    def DELETE(self):
        cherrypy.session.pop("thrown", None)


if __name__ == "__main__":
    conf = {
        "/": {"tools.sessions.on": True, "tools.staticdir.root": os.path.abspath(os.getcwd())},
        "/dice": {
            "request.dispatch": cherrypy.dispatch.MethodDispatcher(),
            "tools.response_headers.on": True,
            "tools.response_headers.headers": [("Content-Type", "text/plain")],
        },
        "/static": {"tools.staticdir.on": True, "tools.staticdir.dir": "./public"},
    }
    site = Table()
    site.dice = Throw()
    cherrypy.quickstart(site, "/", conf)
