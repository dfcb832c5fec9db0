"""Markdown as people write it in Chinese: a line break in the source is no blank between two wide characters."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

from kuartui.prose import tight


def parser() -> MarkdownIt:
    """Textual's own parser, and the rule for line breaks."""
    made = MarkdownIt("gfm-like")
    made.core.ruler.push("tight_breaks", _tight_breaks)
    return made


def _tight_breaks(state: StateCore) -> None:
    for token in state.tokens:
        children = token.children or []
        for before, here, after in zip(children, children[1:], children[2:], strict=False):
            if here.type == "softbreak" and tight(before.content, after.content):
                here.type, here.content = "text", ""
