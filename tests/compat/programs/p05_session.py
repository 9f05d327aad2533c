"""What one visitor threw is shown to that visitor."""

import random

import cherrypy


class Dice(object):  # noqa: UP004
    @cherrypy.expose
    def index(self):
        return '<form action="throw"><input name="count" value="2"/></form>'

    @cherrypy.expose
    def throw(self, count=2):
        thrown = "".join(str(random.randint(1, 6)) for _ in range(int(count)))
        cherrypy.session["thrown"] = thrown
        return thrown

    @cherrypy.expose
    def show(self):
        return cherrypy.session["thrown"]


if __name__ == "__main__":
    conf = {"/": {"tools.sessions.on": True}}
    cherrypy.quickstart(Dice(), "/", conf)
