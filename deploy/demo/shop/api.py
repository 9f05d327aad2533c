"""The JSON interface of the shop, under /api: goods, a cart in the visitor's session, orders in the database."""

import cherrypy

from . import store


def read_items(items):
    """Check what a client sent as {sku: count}; 400 says what is wrong with it."""
    if not isinstance(items, dict) or not all(isinstance(n, int) and 0 < n < 100 for n in items.values()):
        raise cherrypy.HTTPError(400, "items must be an object of sku to a count between 1 and 99")
    unknown = set(items) - {goods["sku"] for goods in store.all_goods()}
    if unknown:
        raise cherrypy.HTTPError(400, f"not sold here: {', '.join(sorted(unknown))}")
    return items


@cherrypy.tools.json_out()
class Api:
    """Mounted at /api."""

    @cherrypy.expose
    def goods(self):
        """GET /api/goods: all that is sold."""
        return store.all_goods()

    @cherrypy.expose
    @cherrypy.tools.json_in()
    @cherrypy.tools.allow(methods=["POST"])
    def quote(self):
        """POST /api/quote {"items": {"tea": 2}, "note": "…"}: the price, and the note sent back."""
        sent = cherrypy.request.json
        return {"cents": store.price_of(read_items(sent.get("items"))), "note": sent.get("note")}

    @cherrypy.expose
    @cherrypy.tools.json_in()
    def cart(self):
        """GET or POST /api/cart: what is in the visitor's cart; a POST of {"items": …} adds to it."""
        cart = cherrypy.session.setdefault("cart", {})
        if cherrypy.request.method == "POST":
            for sku, count in read_items(cherrypy.request.json.get("items")).items():
                cart[sku] = cart.get(sku, 0) + count
            cherrypy.session["cart"] = cart
        return {"items": cart, "cents": store.price_of(cart)}

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def order(self):
        """POST /api/order: order what is in the cart, which is empty then."""
        cart = cherrypy.session.pop("cart", None)
        if not cart:
            raise cherrypy.HTTPError(409, "the cart is empty")
        number, cents = store.place_order(cart)
        cherrypy.response.status = 201
        return {"order": number, "cents": cents}
