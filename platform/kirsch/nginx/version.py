"""What a build of nginx can do: one table, so that the same intent is written for 1.22 and for the newest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Version = tuple[int, int, int]

OLDEST: Version = (1, 22, 0)
"""Debian 12's; everything that stands in no table row below is as old as this or older."""

# feature: (since which version, module that has to be compiled in); what is written instead stands where it is asked
FEATURES: dict[str, tuple[Version, str | None]] = {
    "http2": ((1, 9, 5), "http_v2"),
    "http2 directive": ((1, 25, 1), "http_v2"),  # before: a word of `listen`, which newer ones warn about
    "http3": ((1, 25, 0), "http_v3"),
    "ticket rotation": ((1, 23, 2), "http_ssl"),
    "keepalive_min_timeout": ((1, 27, 4), None),  # before: idle client connections are cut at a reload
    "$request_port": ((1, 29, 3), None),  # before: the port is taken out of the Host field by a map
    "resolve": ((1, 27, 3), "http_upstream_zone"),  # before: a variable, or the addresses of the last reload
    "sticky": ((1, 29, 6), "http_upstream_sticky"),  # before: a cookie of our own, and a hash of it
    "ssl": ((1, 0, 0), "http_ssl"),
    "realip": ((1, 0, 0), "http_realip"),
    "stub_status": ((1, 0, 0), "http_stub_status"),
    "fastcgi": ((1, 0, 0), "http_fastcgi"),
    "uwsgi": ((1, 0, 0), "http_uwsgi"),
    "scgi": ((1, 0, 0), "http_scgi"),
    "gzip": ((1, 0, 0), "http_gzip"),
    "brotli": ((1, 0, 0), "brotli"),  # not of nginx's own: google/ngx_brotli, tokers/zstd-nginx-module
    "zstd": ((1, 0, 0), "zstd"),
}

LOADABLE = {"brotli": "ngx_http_brotli_filter_module.so", "zstd": "ngx_http_zstd_filter_module.so"}
"""Modules that may also lie beside the binary, each in a file of its own."""

# compiled in unless `--without-NAME_module` says otherwise; the others need `--with-NAME_module`
STANDARD_MODULES = frozenset(
    {
        "http_fastcgi",
        "http_uwsgi",
        "http_scgi",
        "http_gzip",
        "http_proxy",
        "http_map",
        "http_upstream_zone",
        "http_upstream_keepalive",
        "http_upstream_sticky",
        "http_upstream_least_conn",
        "http_rewrite",
    }
)

_VERSION = re.compile(r"nginx version: [^/\s]+/([0-9]+)\.([0-9]+)\.([0-9]+)")
# a dynamic one counts when its file is there and can be loaded: `binary.inspect_nginx` tries
_ADDED = re.compile(r"--add-module=\S*?(brotli|zstd)\S*")
_MODULES_PATH = re.compile(r"--modules-path=(/\S+)")
_MODULE = re.compile(r"--(with|without)-([a-z0-9_]+)_module(?:=dynamic)?(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Build:
    """A version and the modules that are compiled in."""

    version: Version
    modules: frozenset[str]

    def has(self, feature: str) -> bool:
        """True when this build knows *feature*, a row of :data:`FEATURES`."""
        since, module = FEATURES[feature]
        return self.version >= since and (module is None or module in self.modules)


def parse_build(text: str) -> Build | None:
    """What ``nginx -V`` printed; None when it does not name a version."""
    match = _VERSION.search(text)
    if match is None:
        return None
    modules = set(STANDARD_MODULES)
    for verb, name in _MODULE.findall(text):
        if verb == "with":
            modules.add(name)
        else:
            modules.discard(name)
    modules.update(_ADDED.findall(text))
    major, minor, patch = (int(part) for part in match.groups())
    return Build((major, minor, patch), frozenset(modules))


def modules_folder(text: str) -> str | None:
    """Where a build that printed *text* for ``nginx -V`` looks for modules in files; None when it does not say."""
    match = _MODULES_PATH.search(text)
    return match[1] if match else None


def loaded(files: Iterable[str]) -> frozenset[str]:
    """The modules that are in *files*, as :meth:`Build.has` knows them."""
    names = {file.rpartition("/")[2] for file in files}
    return frozenset(module for module, name in LOADABLE.items() if name in names)


def version_text(version: Version) -> str:
    """``(1, 22, 1)`` as ``1.22.1``."""
    return ".".join(str(part) for part in version)
