"""What Go's encoding/json says of text that is no JSON; players read it when a registry secret is wrong.

The states are those of encoding/json/scanner.go, as a small recursive descent.
"""

from __future__ import annotations

import re

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_EARLY_END = "unexpected end of JSON input"


class _Problem(Exception):
    pass


def problem(text: str) -> str:
    """The message of json.Unmarshal, "" if the text is JSON."""
    try:
        end = _value(text, _blank(text, 0), "looking for beginning of value")
        if (end := _blank(text, end)) < len(text):
            _refuse(text, end, "after top-level value")
    except _Problem as found:
        return str(found)
    return ""


def _blank(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _refuse(text: str, at: int, context: str) -> None:
    if at >= len(text):
        raise _Problem(_EARLY_END)
    letter = {"'": r"'\''", '"': "'\"'"}.get(text[at], f"'{text[at]}'")
    raise _Problem(f"invalid character {letter} {context}")


def _value(text: str, at: int, context: str) -> int:
    start = text[at : at + 1]
    if start == "{":
        return _object(text, at)
    if start == "[":
        return _array(text, at)
    if start == '"':
        return _string(text, at)
    for word in ("true", "false", "null"):
        if start == word[0]:
            for offset, letter in enumerate(word):
                if text[at + offset : at + offset + 1] != letter:
                    _refuse(text, at + offset, f"in literal {word} (expecting '{letter}')")
            return at + len(word)
    number = _NUMBER.match(text, at)
    if not number:
        _refuse(text, at, "in numeric literal" if start == "-" else context)
        return at
    return number.end()


def _object(text: str, at: int) -> int:
    at = _blank(text, at + 1)
    if text[at : at + 1] == "}":
        return at + 1
    context = "looking for beginning of object key string"
    while True:
        if text[at : at + 1] != '"':
            _refuse(text, at, context)
        at = _blank(text, _string(text, at))
        if text[at : at + 1] != ":":
            _refuse(text, at, "after object key")
        at = _blank(text, _value(text, _blank(text, at + 1), "looking for beginning of value"))
        if text[at : at + 1] == "}":
            return at + 1
        if text[at : at + 1] != ",":
            _refuse(text, at, "after object key:value pair")
        at = _blank(text, at + 1)


def _array(text: str, at: int) -> int:
    at = _blank(text, at + 1)
    if text[at : at + 1] == "]":
        return at + 1
    while True:
        at = _blank(text, _value(text, at, "looking for beginning of value"))
        if text[at : at + 1] == "]":
            return at + 1
        if text[at : at + 1] != ",":
            _refuse(text, at, "after array element")
        at = _blank(text, at + 1)


def _string(text: str, at: int) -> int:
    at += 1
    while at < len(text):
        letter = text[at]
        if letter == '"':
            return at + 1
        if letter < " ":
            _refuse(text, at, "in string literal")
        if letter == "\\":
            at += 1
            if text[at : at + 1] not in tuple('bfnrt\\/"u'):
                _refuse(text, at, "in string escape code")
        at += 1
    raise _Problem(_EARLY_END)
