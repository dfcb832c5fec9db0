"""Markdown: line breaks, a blank between words and nothing between Chinese characters; and the language of code."""

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


@pytest.mark.parametrize(
    ("source", "language"),
    [
        ("```\n#!/bin/sh\nexit 1\n```", "text"),
        ("``` \n<?xml version='1.0'?>\n```", "text"),
        ("    import this", "text"),
        ("> ~~~\n> kubectl get pods\n> ~~~", "text"),
        ("```yaml\nkind: Pod\n```", "yaml"),
    ],
)
def test_nobody_guesses_the_language_of_code(source: str, language: str) -> None:
    assert [token.info for token in markdown.parser().parse(source) if token.type in ("fence", "code_block")] == [
        language
    ]
