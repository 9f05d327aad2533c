"""A style sheet out of a folder beside the program."""

import os

import cherrypy


class Dice(object):  # noqa: UP004
    @cherrypy.expose
    def index(self):
        return '<html><head><link href="/static/css/dice.css" rel="stylesheet"></head><body>Dice</body></html>'


if __name__ == "__main__":
    conf = {
        "/": {"tools.sessions.on": True, "tools.staticdir.root": os.path.abspath(os.getcwd())},
        "/static": {"tools.staticdir.on": True, "tools.staticdir.dir": "./public"},
    }
    cherrypy.quickstart(Dice(), "/", conf)
