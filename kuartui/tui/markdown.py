"""Markdown as people write it in Chinese: a line break in the source is no blank between two wide characters.

And code that names no language is shown as it is: Textual would guess one, for which Pygments loads each of its 500
lexers, 20 MiB that stay.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

from kuartui.prose import tight


def parser() -> MarkdownIt:
    """Textual's own parser, and the rules for line breaks and for code."""
    made = MarkdownIt("gfm-like")
    made.core.ruler.push("tight_breaks", _tight_breaks)
    made.core.ruler.push("plain_code", _plain_code)
    return made


def _tight_breaks(state: StateCore) -> None:
    for token in state.tokens:
        children = token.children or []
        for before, here, after in zip(children, children[1:], children[2:], strict=False):
            if here.type == "softbreak" and tight(before.content, after.content):
                here.type, here.content = "text", ""


def _plain_code(state: StateCore) -> None:
    for token in state.tokens:
        if token.type in ("fence", "code_block") and not token.info.strip():
            token.info = "text"
