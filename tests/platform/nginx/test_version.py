"""What a build can do, read from what it prints."""

from __future__ import annotations

import pytest

from kirsch.nginx.version import FEATURES, Build, parse_build

DEBIAN = """nginx version: nginx/1.22.1
built with OpenSSL 3.0.8 7 Feb 2023
TLS SNI support enabled
configure arguments: --with-cc-opt='-g -O2' --prefix=/usr/share/nginx --with-http_ssl_module
--with-http_stub_status_module --with-http_v2_module
--with-stream=dynamic --with-http_image_filter_module=dynamic --without-http_scgi_module
"""


def test_a_build_is_read_from_what_it_prints() -> None:
    """Version and modules; standard ones count unless they were left out."""
    build = parse_build(DEBIAN)

    assert build is not None
    assert build.version == (1, 22, 1)
    assert build.has("ssl")
    assert build.has("stub_status")
    assert not build.has("scgi")
    assert build.has("uwsgi")
    assert "http_image_filter" in build.modules


@pytest.mark.parametrize("text", ["nginx version: openresty/1.25.3.1", "nginx version: nginx/1.31.3 (Ubuntu)"])
def test_relatives_of_nginx_are_read_too(text: str) -> None:
    """OpenResty counts on from nginx's version."""
    assert parse_build(text) is not None


@pytest.mark.parametrize("text", ["", "command not found", "Python 3.11.2"])
def test_what_is_no_nginx_has_no_build(text: str) -> None:
    """None instead of a guess."""
    assert parse_build(text) is None


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_needs_its_version_and_its_module(feature: str) -> None:
    """Both columns of the table count."""
    since, module = FEATURES[feature]
    modules = frozenset({module} if module else set())

    assert Build(since, modules).has(feature)
    assert not Build((0, 9, 9), modules).has(feature)
    assert module is None or not Build(since, frozenset()).has(feature)


def test_http2_changed_its_spelling_at_1_25_1() -> None:
    """The word of `listen` before, the directive after."""
    old, new = (Build(version, frozenset({"http_v2"})) for version in ((1, 25, 0), (1, 25, 1)))

    assert (old.has("http2"), old.has("http2 directive")) == (True, False)
    assert (new.has("http2"), new.has("http2 directive")) == (True, True)


def test_compressions_of_others_are_seen_where_they_are_compiled_in() -> None:
    """A module that is loaded at run time would need a line that nobody can write."""
    inside = parse_build(
        "nginx version: nginx/1.28.0\n--add-module=/src/ngx_brotli --add-module=../zstd-nginx-module/x"
    )
    beside = parse_build("nginx version: nginx/1.28.0\n--add-dynamic-module=/src/ngx_brotli")

    assert inside is not None
    assert (inside.has("brotli"), inside.has("zstd"), inside.has("gzip")) == (True, True, True)
    assert beside is not None
    assert not beside.has("brotli")
