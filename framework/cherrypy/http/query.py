"""Query strings and form bodies in ``application/x-www-form-urlencoded``.

Law: pure, linear.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_to_bytes

image_map_pattern = re.compile(r"[0-9]+,[0-9]+")

Params = dict[str, "str | list[str] | int"]


def parse_query_string(
    query_string: str,
    keep_blank_values: bool = True,
    encoding: str = "utf-8",
    *,
    separators: str = "&",
    errors: str = "strict",
) -> dict[str, object]:
    """Turn a query string into {name: value}; a repeated name gets a list of its values.

    >>> parse_query_string('a=1&b=&a=2')
    {'a': ['1', '2'], 'b': ''}
    >>> parse_query_string('12,7')        # a click on a server-side image map
    {'x': 12, 'y': 7}

    Args:
        query_string: without the question mark.
        keep_blank_values: False drops names whose value is empty.
        encoding: of the percent-encoded octets.
        separators: the characters that end a pair: '&', or '&;' for both. A proxy or cache in front that knows only '&'
            sees other parameters than the second does (CVE-2021-23336).
        errors: of the decoder.

    Raises:
        UnicodeDecodeError: the octets are not in *encoding*.
        ValueError: *separators* is neither.
    """
    if separators != "&":
        check_separators(separators)
    # Python makes no numbers of more than 4300 digits, and no image has so many pixels
    if "," in query_string and len(query_string) < 40 and image_map_pattern.fullmatch(query_string):
        x, y = query_string.split(",")
        return {"x": int(x), "y": int(y)}
    params: dict[str, object] = {}
    if separators != "&" and ";" in query_string:
        query_string = query_string.replace(";", "&")
    for pair in query_string.split("&"):
        name, _, value = pair.partition("=")
        if not pair or not (value or keep_blank_values):
            continue
        if "+" in pair or "%" in pair:
            name = unquote(name.replace("+", " "), encoding, errors)
            value = unquote(value.replace("+", " "), encoding, errors)
        if name in params:
            add_param(params, name, value)
        else:
            params[name] = value
    return params


def check_separators(separators: object) -> None:
    """Raise ValueError if *separators* is neither '&' nor '&;'."""
    if separators not in ("&", "&;", ";&"):
        raise ValueError(f"request.query_separators must be '&' or '&;', not {separators!r}")


def add_param(params: dict[str, object], name: str, value: object) -> None:
    """Put a value into *params*, making a list of it when the name repeats."""
    if name not in params:
        params[name] = value
        return
    present = params[name]
    if isinstance(present, list):
        present.append(value)
    else:
        params[name] = [present, value]


def unquote_plus(bs: bytes) -> bytes:
    """Decode percent-encoded octets and '+' (a space) in bytes.

    >>> unquote_plus(b'a+b%2Bc')
    b'a b+c'
    """
    return unquote_to_bytes(bs.replace(b"+", b" "))
