"""Textual's cache of widget colours, without the widgets.

`StylesCache.get_inner_outer` is an `lru_cache` around a method: its keys hold up to 1,024 widgets' rendered lines, most
of which left the screen long ago (https://github.com/Textualize/textual/issues/6665). Help, dialogs and notes that come
and go would cost an hour of play 50 MiB. The colours depend on two colours and on no widget.
"""

from __future__ import annotations

import functools

from textual._styles_cache import StylesCache

NAME = "get_inner_outer"


def mend() -> None:
    """Let go of widgets. Does nothing where Textual does so itself."""
    found = vars(StylesCache).get(NAME)
    if isinstance(found, functools._lru_cache_wrapper):
        setattr(StylesCache, NAME, staticmethod(functools.lru_cache(1024)(functools.partial(found.__wrapped__, None))))
