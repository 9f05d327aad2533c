"""Smaller answers: gzip, and where they are compiled in Brotli and Zstandard."""

from __future__ import annotations

from collections.abc import Iterator

from kirsch.nginx.directives import Directive, directive
from kirsch.nginx.version import Build

# text/html is always among them; pictures, archives and fonts (woff) are compressed already; text/event-stream is not
# here, as events would wait for each other
TYPES = (
    "text/plain",
    "text/css",
    "text/csv",
    "text/javascript",
    "text/markdown",
    "text/xml",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/rss+xml",
    "application/atom+xml",
    "application/wasm",
    "application/xml",
    "application/xhtml+xml",
    "application/problem+json",
    "image/svg+xml",
    "font/ttf",
    "font/otf",
)
SMALLEST_BYTES = 1024
"""One packet is one packet."""


def shared_settings(build: Build) -> Iterator[Directive]:
    """How it is done; a vhost says whether."""
    if build.has("gzip"):
        yield directive("gzip_comp_level", 4)
        yield directive("gzip_min_length", SMALLEST_BYTES)
        yield directive("gzip_proxied", "any")
        yield directive("gzip_vary", "on")
        yield directive("gzip_types", *TYPES)
    for name, level in (("brotli", 4), ("zstd", 3)):
        if build.has(name):
            yield directive(f"{name}_comp_level", level)
            yield directive(f"{name}_min_length", SMALLEST_BYTES)
            yield directive(f"{name}_types", *TYPES)


def switched_off(build: Build) -> Iterator[Directive]:
    """What a location says whose answers must not wait until there is enough of them to compress."""
    for name in ("gzip", "brotli", "zstd"):
        if build.has(name):
            yield directive(name, "off")


def vhost_settings(build: Build, *, compress: bool) -> Iterator[Directive]:
    """What a server says where it compresses."""
    for name in ("gzip", "brotli", "zstd"):
        if compress and build.has(name):
            yield directive(name, "on")
