"""A tool, a plugin and a dispatcher of one's own, each where it belongs."""

import cherrypy
from cherrypy.process.plugins import SimplePlugin


class Kitchen(SimplePlugin):
    """Answers orders that pages publish on the bus."""

    def start(self):
        self.bus.log("Kitchen is open")
        self.bus.subscribe("order", self.order)

    start.priority = 80

    def stop(self):
        self.bus.unsubscribe("order", self.order)
        self.bus.log("Kitchen is closed")

    def order(self, dish):
        return f"one {dish}"


@cherrypy.tools.register("before_finalize", priority=60)
def signed(name="nobody"):
    cherrypy.response.headers["X-Cook"] = name


class Waiter(cherrypy.dispatch.Dispatcher):
    """Takes upper-case paths for lower-case ones."""

    def __call__(self, path_info):
        return super().__call__(path_info.lower())


class Menu(object):  # noqa: UP004
    @cherrypy.expose
    @cherrypy.tools.signed(name="Ada")
    def soup(self):
        return cherrypy.engine.publish("order", "soup").pop()

    @cherrypy.expose(["desert", "pudding"])
    def dessert(self):
        return "sweet"

    def _cp_dispatch(self, vpath):
        if len(vpath) == 2 and vpath[0] == "table":
            cherrypy.request.params["number"] = vpath.pop()
            return self
        return vpath

    @cherrypy.expose
    def table(self, number):
        return f"table {number}"


if __name__ == "__main__":
    Kitchen(cherrypy.engine).subscribe()
    cherrypy.config.update({"log.screen": True})
    cherrypy.tree.mount(Menu(), "/", {"/": {"request.dispatch": Waiter()}})
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.start()
    cherrypy.engine.block()
