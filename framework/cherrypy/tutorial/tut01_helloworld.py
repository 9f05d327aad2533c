"""Hello, world: an object is published, and its ``index`` answers at the root."""

import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class HelloWorld:
    """One page."""

    @cherrypy.expose
    def index(self):
        # What a handler returns is the body of the answer.
        return "Hello world!"


if __name__ == "__main__":
    cherrypy.quickstart(HelloWorld(), config=CONFIG)
