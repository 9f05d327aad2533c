"""Tests of an application with the documented helper, as pytest collects them."""

import cherrypy
from cherrypy.test import helper


class Dice(object):  # noqa: UP004
    @cherrypy.expose
    def index(self):
        return "Throw the dice."

    @cherrypy.expose
    def add(self, *numbers, **named):
        return str(sum(map(int, (*numbers, *named.values()))))


class DiceTest(helper.CPWebCase):
    @staticmethod
    def setup_server():
        cherrypy.tree.mount(Dice(), "/", {})

    def test_index(self):
        self.getPage("/")
        self.assertStatus("200 OK")
        self.assertHeader("Content-Type", "text/html;charset=utf-8")
        self.assertBody("Throw the dice.")

    def test_add(self):
        self.getPage("/add/1/2?three=3")
        self.assertStatus(200)
        self.assertBody("6")

    def test_nothing(self):
        self.getPage("/nothing")
        self.assertErrorPage(404, "The path '/nothing' was not found.")
