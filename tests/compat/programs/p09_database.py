"""Throws in a database that is made when the engine starts and dropped when it stops."""

import os
import random
import sqlite3
import time

import cherrypy

DATABASE = "dice.db"


class Table(object):  # noqa: UP004
    @cherrypy.expose
    def index(self):
        return open("index.html")


@cherrypy.expose
class Throw(object):  # noqa: UP004
    @cherrypy.tools.accept(media="text/plain")
    def GET(self):
        with sqlite3.connect(DATABASE) as c:
            cherrypy.session["at"] = time.time()
            # A row is a tuple of strings: a body in pieces.
            return c.execute("SELECT value FROM throws WHERE session_id=?", [cherrypy.session.id]).fetchone()

    def POST(self, count=2):
        thrown = "".join(str(random.randint(1, 6)) for _ in range(int(count)))
        with sqlite3.connect(DATABASE) as c:
            cherrypy.session["at"] = time.time()
            c.execute("INSERT INTO throws VALUES (?, ?)", [cherrypy.session.id, thrown])
        return thrown

    def PUT(self, other):
        with sqlite3.connect(DATABASE) as c:
            cherrypy.session["at"] = time.time()
            c.execute("UPDATE throws SET value=? WHERE session_id=?", [other, cherrypy.session.id])

    def DELETE(self):
        cherrypy.session.pop("at", None)
        with sqlite3.connect(DATABASE) as c:
            c.execute("DELETE FROM throws WHERE session_id=?", [cherrypy.session.id])


def create():
    with sqlite3.connect(DATABASE) as c:
        c.execute("CREATE TABLE throws (session_id, value)")


def drop():
    with sqlite3.connect(DATABASE) as c:
        c.execute("DROP TABLE throws")


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
    cherrypy.engine.subscribe("start", create)
    cherrypy.engine.subscribe("stop", drop)
    site = Table()
    site.dice = Throw()
    cherrypy.quickstart(site, "/", conf)
