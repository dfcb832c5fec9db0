"""Line breaks in Markdown: a blank between words, nothing between Chinese characters."""

from __future__ import annotations

import pytest

from kuartui.tui import markdown


def flat(text: str) -> str:
    """The running text of all paragraphs, a soft break as the blank that Textual makes of it."""
    tokens = [token for block in markdown.parser().parse(text) for token in block.children or []]
    return "".join(" " if token.type == "softbreak" else token.content for token in tokens)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("one\ntwo", "one two"),
        ("上什么\n都没有", "上什么都没有"),
        ("有 Memory、\nMemorySwap", "有 Memory、MemorySwap"),
        ("默认值。\n`restartPolicy`", "默认值。restartPolicy"),
        ("Deployment\n会", "Deployment 会"),
        ("- 第一\n  项\n- 第二项", "第一项第二项"),
    ],
)
def test_soft_breaks(source: str, shown: str) -> None:
    assert flat(source) == shown


def test_code_keeps_its_lines() -> None:
    (fence,) = markdown.parser().parse("```\n甲\n乙\n```")
    assert fence.content == "甲\n乙\n"
