"""Several pages: every exposed method answers at its own name, and nothing else does."""

import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class Kitchen:
    """Two pages, and a method that stays private."""

    @cherrypy.expose
    def index(self):
        return 'What is for <a href="dinner">dinner</a>?'

    @cherrypy.expose
    def dinner(self):
        return f"Today: {self.cook()}."

    def cook(self):
        # Not exposed: /cook is 404.
        return "potatoes and salt"


if __name__ == "__main__":
    cherrypy.quickstart(Kitchen(), config=CONFIG)
