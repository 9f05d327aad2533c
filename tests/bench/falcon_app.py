"""The benchmark's pages in Falcon, for the peers' column."""

import os
import time

import falcon


class Index:
    """The smallest page."""

    def on_get(self, request, response):
        """Answer with text."""
        response.content_type = falcon.MEDIA_TEXT
        response.text = "Hello, world!"


class Item:
    """A page with a path segment and a query parameter."""

    def on_get(self, request, response, number):
        """Answer with both."""
        response.content_type = falcon.MEDIA_TEXT
        response.text = f"item {number} is {request.get_param('colour', default='red')}"


class Data:
    """A small JSON document."""

    def on_get(self, request, response):
        """Answer with an object."""
        response.media = {"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}}


class Slow:
    """A handler that blocks as a database call would."""

    def on_get(self, request, response):
        """Sleep, and answer."""
        time.sleep(0.02)
        response.text = "slow"


class Upload:
    """A body that is read whole."""

    def on_post(self, request, response):
        """Answer with its length."""
        response.text = str(len(request.bounded_stream.read()))


application = falcon.App()
application.add_route("/", Index())
application.add_route("/item/{number}", Item())
application.add_route("/data", Data())
application.add_route("/slow", Slow())
application.add_route("/upload", Upload())
application.add_static_route("/file", os.environ["BENCH_FILES"])
