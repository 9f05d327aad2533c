"""Derived pages: what all pages share is written once, in a base class."""

import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class Page:
    """The frame of every page."""

    title = "Untitled"

    def framed(self, content):
        return f"<html><head><title>{self.title}</title></head><body><h1>{self.title}</h1>{content}</body></html>"


class Harbour(Page):
    """The front page; its neighbour is an attribute."""

    title = "Harbour"

    def __init__(self):
        self.ferry = Ferry()

    @cherrypy.expose
    def index(self):
        return self.framed('<p>Take the <a href="ferry/">ferry</a>.</p>')


class Ferry(Page):
    """Another page in the same frame."""

    title = "Ferry"

    @cherrypy.expose
    def index(self):
        return self.framed('<p>It leaves on the hour. <a href="../">Ashore</a></p>')


if __name__ == "__main__":
    cherrypy.quickstart(Harbour(), config=CONFIG)
