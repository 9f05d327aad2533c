"""Content-Disposition: how a client should show or name what it gets.

Source: RFC 6266 section 4.3 and appendix D.
"""

from __future__ import annotations

import unicodedata
import urllib.parse

_CONTROLS = dict.fromkeys((*range(32), 127))


def content_disposition(disposition: str, file_name: str) -> str:
    r"""Write Content-Disposition with a plain name for old clients, and the exact one when it is not plain.

    >>> content_disposition('attachment', 'für.txt')
    'attachment; filename="fur.txt"; filename*=UTF-8\'\'f%C3%BCr.txt'
    """
    file_name = file_name.translate(_CONTROLS)
    plain = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode("ascii")
    header = '{}; filename="{}"'.format(disposition, plain.replace("\\", "\\\\").replace('"', '\\"'))
    if plain != file_name:
        header += f"; filename*=UTF-8''{urllib.parse.quote(file_name, safe='!#$&+-.^_`|~')}"
    return header
