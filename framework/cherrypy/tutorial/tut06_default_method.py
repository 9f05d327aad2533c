"""The default method: answers for all names that no other page has."""

import html
import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class Library:
    """Every word below / is the title of a book."""

    books = {"emma": "Jane Austen", "dubliners": "James Joyce"}

    @cherrypy.expose
    def index(self):
        return " ".join(f'<a href="{title}">{title}</a>' for title in self.books)

    @cherrypy.expose
    def default(self, title):
        # The rest of the path comes as positional arguments; more than one would be 404 here.
        author = self.books.get(title)
        if author is None:
            return f"Nobody wrote {html.escape(title)!r} yet."
        return f'{title.capitalize()} is by {author}. <a href="./">All books</a>'


if __name__ == "__main__":
    cherrypy.quickstart(Library(), config=CONFIG)
