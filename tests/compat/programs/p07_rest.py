"""A resource with methods instead of pages."""

import random

import cherrypy


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
        "/": {
            "request.dispatch": cherrypy.dispatch.MethodDispatcher(),
            "tools.sessions.on": True,
            "tools.response_headers.on": True,
            "tools.response_headers.headers": [("Content-Type", "text/plain")],
        }
    }
    cherrypy.quickstart(Throw(), "/", conf)
