"""The documented ``ssl_*`` settings as TLS for a listener."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cherrypy.conf.expression import attributes
from cherrypy.httpd.credentials import CredentialsError, Files, Identities, Identity, make_context
from cherrypy.httpd.tls import TLS

#: Settings that say how contexts are made; one that was made elsewhere has its own mind.
OF_OWN_CONTEXTS = ("ssl_certificates", "ssl_client_ca", "ssl_client_verify")
#: Names of TLS modules that CherryPy knows; both are the standard library's here.
MODULES = (None, "builtin", "pyopenssl")


def tls_for(adapter: Any) -> Any:
    """What the settings of *adapter* describe: TLS of ours, or somebody else's adapter, or None for no TLS.

    Raises:
        ValueError: settings that contradict each other, or miss one.
        OSError: a file cannot be read, or does not contain what it should; names the settings.
    """
    made = getattr(adapter, "ssl_adapter", None)
    if made is not None:
        return made
    if getattr(adapter, "ssl_module", None) not in MODULES and is_tls(adapter):
        return _made_by_module(adapter)
    if adapter.ssl_context is not None:
        return _tls_of_context(adapter)
    if not adapter.ssl_certificate and not getattr(adapter, "ssl_certificates", None):
        key = _key(adapter)
        if adapter.ssl_private_key:
            raise ValueError(f"{key}.ssl_private_key is set, {key}.ssl_certificate is not: TLS needs both")
        if getattr(adapter, "ssl_client_ca", None):
            raise ValueError(f"{key}.ssl_client_ca is set, {key}.ssl_certificate is not: there is no TLS without it")
        return None
    return TLS(identities_for(adapter), lambda: identities_for(adapter))


def is_tls(adapter: Any) -> bool:
    """True if the settings of *adapter* ask for TLS."""
    names = ("ssl_adapter", "ssl_certificate", "ssl_context", "ssl_certificates")
    return any(getattr(adapter, name, None) for name in names)


def adapter_class(module: Any) -> Callable[..., Any] | None:
    """What ``ssl_module`` names: a class, its dotted name, or a name in the registry of a server that is loaded.

    COMPAT: applications put classes of their own into ``cheroot.server.ssl_adapters``; who has not imported that has
    none there.
    """
    registry = getattr(sys.modules.get("cheroot.server"), "ssl_adapters", {})
    found = registry.get(module, module) if isinstance(module, str) and module not in MODULES else module
    if isinstance(found, str):
        try:
            found = attributes(found) if "." in found else None
        except (ImportError, AttributeError, ValueError):
            return None
    return found if callable(found) else None


def _made_by_module(adapter: Any) -> Any:
    """An adapter made by the user's class, called as CherryPy's are: certificate, key, chain, ciphers."""
    key, module = _key(adapter), adapter.ssl_module
    make = adapter_class(module)
    if make is None:
        raise ValueError(f"{key}.ssl_module is {module!r}, which names no class")
    made = make(
        _path(adapter.ssl_certificate),
        _path(adapter.ssl_private_key),
        _path(adapter.ssl_certificate_chain),
        adapter.ssl_ciphers,
    )
    if adapter.ssl_context is not None:
        made.context = adapter.ssl_context
    return made


def adopted(given: Any) -> TLS | None:
    """TLS of what was assigned to ``httpserver.ssl_adapter``: ours, None, or any object with a ``context``.

    What its ``get_environ(sock)`` returns, if it has that, is added to the variables of a session.

    Raises:
        TypeError: it is nothing of that kind.
    """
    if given is None or isinstance(given, TLS):
        return given
    context = getattr(given, "context", None)
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(
            f"httpserver.ssl_adapter is {given!r}. Allowed: None, or an object whose attribute 'context' is an "
            "ssl.SSLContext; TLS is the standard library's here, and adapters cannot bring their own."
        )
    # SECURITY: whoever overrides wrap() may refuse clients there, and would not notice that nobody calls it.
    owner = next((one for one in type(given).__mro__ if "wrap" in vars(one)), None)
    if owner is not None and not owner.__module__.startswith("cheroot."):
        raise TypeError(
            f"httpserver.ssl_adapter is {given!r}, whose class {owner.__qualname__} has a wrap() of its own. "
            "Handshakes never block here, so wrap() is not called: let the object's context say what it says "
            "(verify_mode, ciphers, versions, sni_callback), and get_environ(sock) what applications are told."
        )
    return TLS(context, describe=getattr(given, "get_environ", None))


def identities_for(adapter: Any) -> Identities:
    """Read all certificates that the settings of *adapter* name.

    Raises:
        ValueError: settings that contradict each other.
        OSError: a file cannot be used; names the settings.
    """
    key = _key(adapter)
    client_ca = _path(getattr(adapter, "ssl_client_ca", None))
    verify = getattr(adapter, "ssl_client_verify", None) or ("required" if client_ca else "none")
    if verify != "none" and not client_ca:
        raise ValueError(
            f"{key}.ssl_client_verify is {verify!r}, {key}.ssl_client_ca is not set: nobody could sign a certificate"
        )

    def load(files: Files, said: Callable[[CredentialsError], str]) -> Identity:
        try:
            context = make_context(
                files.certificate,
                files.private_key,
                files.chain,
                adapter.ssl_ciphers,
                client_ca=client_ca,
                client_verify=verify,
            )
            return Identity(context, files.certificate)
        except CredentialsError as error:
            at = f"{key}.ssl_{error.part}={error.value!r}" if error.part in ("ciphers", "client_ca") else said(error)
            raise OSError(error.errno, f"{at}: {error.reason}") from error

    default: Identity | None = None
    named: dict[str, Identity] = {}
    if adapter.ssl_certificate:
        files = Files(
            os.fspath(adapter.ssl_certificate), _path(adapter.ssl_private_key), _path(adapter.ssl_certificate_chain)
        )
        default = load(files, lambda error: f"{key}.{_SETTINGS[error.part]}={error.value!r}")
    for name, files, shown in _further(adapter, f"{key}.ssl_certificates"):
        identity = load(files, lambda error, shown=shown: f"{shown}, {error.part} {error.value!r}")  # type: ignore[misc]
        names = [name] if name else identity.names
        if not names:
            raise ValueError(f"{shown}: the certificate names no server; give it as {{name: (certificate, key)}}")
        default = default or identity
        named.update((one, identity) for one in names)
    if default is None:
        raise ValueError(f"neither {key}.ssl_certificate nor {key}.ssl_certificates is set any more")
    return Identities(default, named)


_SETTINGS = {
    "certificate": "ssl_certificate",
    "private_key": "ssl_private_key",
    "chain": "ssl_certificate_chain",
}


def is_certificates(value: Any) -> bool:
    """True for what ``ssl_certificates`` may be."""
    if value is None:
        return True
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and name for name in value) and all(map(_is_files, value.values()))
    return isinstance(value, list) and all(map(_is_files, value))


def _is_files(value: Any) -> bool:
    if isinstance(value, str | os.PathLike):
        return True
    if not isinstance(value, tuple | list) or not 1 <= len(value) <= len(Files.__dataclass_fields__):
        return False
    return isinstance(value[0], str | os.PathLike) and all(
        one is None or isinstance(one, str | os.PathLike) for one in value
    )


def _further(adapter: Any, key: str) -> Iterator[tuple[str, Files, str]]:
    """The (name, files, what to call them) of ``ssl_certificates``; the name is "" if the certificate is to tell it."""
    given = getattr(adapter, "ssl_certificates", None) or {}
    entries = given.items() if isinstance(given, Mapping) else enumerate(given)
    for place, value in entries:
        paths = [value] if isinstance(value, str | os.PathLike) else list(value)
        name = place if isinstance(place, str) else ""
        yield name, Files(os.fspath(paths[0]), *map(_path, paths[1:])), f"{key}[{place!r}]"


def _tls_of_context(adapter: Any) -> TLS:
    """A context that the user made serves as it is; a certificate beside it only says what it shows."""
    key = _key(adapter)
    context = adapter.ssl_context
    for name in OF_OWN_CONTEXTS:
        if getattr(adapter, name, None):
            raise ValueError(
                f"{key}.{name} is set beside {key}.ssl_context: let the context have it, or leave that out"
            )
    if context.protocol == ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError(f"{key}.ssl_context is for clients; a server's is made with ssl.PROTOCOL_TLS_SERVER")
    certificate = _path(adapter.ssl_certificate)
    try:
        return TLS(Identities(Identity(context, certificate)))
    except CredentialsError as error:
        raise OSError(error.errno, f"{key}.ssl_certificate={certificate!r}: {error.reason}") from error


def _path(value: Any) -> str | None:
    return os.fspath(value) if value else None


def _key(adapter: Any) -> str:
    return str(getattr(adapter, "_namespace", "server"))
