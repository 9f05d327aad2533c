"""A site with depth: objects inside objects are the folders of the address."""

import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class Bakery:
    """/bakery/ and what is below."""

    def __init__(self):
        self.bread = Shelf("rye", "wheat")

    @cherrypy.expose
    def index(self):
        return 'The bakery sells <a href="bread/">bread</a>. <a href="../">Back</a>'


class Shelf:
    """A list of things; the same class may stand in many places."""

    def __init__(self, *things):
        self.things = things

    @cherrypy.expose
    def index(self):
        items = "".join(f"<li>{thing}</li>" for thing in self.things)
        return f'<ul>{items}</ul> <a href="../">Back</a>'


class Market:
    """The root; its attributes are the next step of the path."""

    def __init__(self):
        self.bakery = Bakery()
        self.fruit = Shelf("apples", "pears")

    @cherrypy.expose
    def index(self):
        return 'Here are the <a href="bakery/">bakery</a> and the <a href="fruit/">fruit</a>.'


if __name__ == "__main__":
    cherrypy.quickstart(Market(), config=CONFIG)
