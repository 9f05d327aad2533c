"""Two pages, one with random content."""

import random

import cherrypy


class Dice(object):  # noqa: UP004
    @cherrypy.expose
    def index(self):
        return "Throw the dice."

    @cherrypy.expose
    def throw(self):
        return str(random.randint(1, 6))


if __name__ == "__main__":
    cherrypy.quickstart(Dice())
