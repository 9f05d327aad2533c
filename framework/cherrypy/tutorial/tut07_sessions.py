"""Sessions: what belongs to one visitor, kept between two requests."""

import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class Counter:
    """Counts the visits of each visitor."""

    _cp_config = {"tools.sessions.on": True}

    @cherrypy.expose
    def index(self):
        count = cherrypy.session.get("count", 0) + 1
        cherrypy.session["count"] = count
        return f'This is your visit number {count}. <a href="forget">Forget me</a>'

    @cherrypy.expose
    def forget(self):
        cherrypy.lib.sessions.expire()
        raise cherrypy.HTTPRedirect("/")


if __name__ == "__main__":
    cherrypy.quickstart(Counter(), config=CONFIG)
