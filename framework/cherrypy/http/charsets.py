"""Which charsets a client may name.

Law: pure, and nothing that a client writes is looked up: Python remembers every name it was ever asked for, and tries
to import a module of that name.
"""

from __future__ import annotations

from encodings import normalize_encoding
from encodings.aliases import aliases

# SECURITY: codecs that are no charset (bytes to bytes, a bomb among them), run escapes, or need quadratic time
_REFUSED = frozenset(
    {
        "base64_codec",
        "bz2_codec",
        "hex_codec",
        "idna",
        "mbcs",
        "oem",
        "punycode",
        "quopri_codec",
        "raw_unicode_escape",
        "rot_13",
        "undefined",
        "unicode_escape",
        "uu_codec",
        "zlib_codec",
    }
)
# Charsets that Python knows by one name only.
_WITHOUT_ALIAS = frozenset(
    {
        "cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_r", "koi8_t", "koi8_u", "mac_arabic",
        "mac_croatian", "mac_farsi", "mac_romanian", "utf_8_sig",
    }
)  # fmt: skip
_KNOWN = (
    _WITHOUT_ALIAS
    | (set(aliases.values()) - _REFUSED)
    | {alias for alias, codec in aliases.items() if codec not in _REFUSED}
)


def is_charset(name: str) -> bool:
    """True for the name of a charset that text can be decoded with.

    >>> is_charset('ISO-8859-1'), is_charset('rot13'), is_charset('no such')
    (True, False, False)
    """
    return len(name) <= 40 and name.isascii() and normalize_encoding(name).lower() in _KNOWN
