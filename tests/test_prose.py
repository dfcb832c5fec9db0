"""Paragraphs fit the terminal in either script."""

from __future__ import annotations

from kuartui.prose import cells, joined, paragraphs, wrapped


def test_words_are_not_broken() -> None:
    text = "It is a busy morning at the market, and yet every customer\nwho asks for http://web.market is turned away."
    lines = list(wrapped(text, 30))
    assert " ".join(lines) == text.replace("\n", " ")
    assert all(cells(line) <= 30 for line in lines)


def test_chinese_lines_break_anywhere_but_before_a_full_stop() -> None:
    text = "门前无人应，顾客都吃了闭门羹。" * 4
    for width in range(6, 40):
        lines = list(wrapped(text, width))
        assert "".join(lines) == text
        assert all(cells(line) <= width for line in lines)
        assert not any(line[0] in "，。" for line in lines)


def test_lines_of_chinese_are_joined_without_a_blank() -> None:
    assert joined("早市正\n忙。\nPod 全都健康，访问\nhttp://web") == "早市正忙。Pod 全都健康，访问 http://web"
    assert joined("two\nwords") == "two words"


def test_paragraphs_stay_apart() -> None:
    assert list(paragraphs("one\n\n  two\nthree\n", 80)) == ["one", "", "two three"]


def test_a_word_that_is_too_long_stays_whole() -> None:
    assert list(wrapped("a " + "x" * 20 + " b", 10)) == ["a", "x" * 20, "b"]
