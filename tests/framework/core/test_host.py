"""One end of a connection."""

from __future__ import annotations

from cherrypy.lib.httputil import Host


def test_the_name_is_the_address_unless_one_is_given() -> None:
    """Names are not looked up."""
    assert Host("192.0.2.1", 80).name == "192.0.2.1"
    assert Host("192.0.2.1", 80, "here.test").name == "here.test"


def test_it_shows_how_it_is_made() -> None:
    """In logs of applications."""
    assert repr(Host("192.0.2.1", 80)) == str(Host("192.0.2.1", 80)) == "httputil.Host('192.0.2.1', 80, '192.0.2.1')"


def test_the_class_has_defaults() -> None:
    """For what is known of nothing."""
    assert (Host.ip, Host.port, Host.name) == ("0.0.0.0", 80, "unknown.tld")
