"""Parameters of the address become arguments, with defaults."""

import random

import cherrypy


class Dice(object):  # noqa: UP004
    @cherrypy.expose
    def index(self):
        return "Throw the dice."

    @cherrypy.expose
    def throw(self, count=1):
        return "".join(str(random.randint(1, 6)) for _ in range(int(count)))


if __name__ == "__main__":
    cherrypy.quickstart(Dice())
