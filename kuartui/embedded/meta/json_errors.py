"""What Go's encoding/json says of a text that is no JSON.

The state machine of encoding/json/scanner.go, only its errors; run after a real parser has refused the text.
"""

from __future__ import annotations

_SPACE = " \t\r\n"
_LITERALS = {"t": "true", "f": "false", "n": "null"}


class _Problem(Exception):
    pass


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        if self.at >= len(self.text):
            raise _Problem("unexpected end of JSON input")
        return self.text[self.at]

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def refuse(self, context: str) -> _Problem:
        return _Problem(f"invalid character {_quoted(self.peek())} {context}")

    def value(self, depth: int) -> None:
        if depth > 10_000:
            raise _Problem("exceeded max depth")
        self.skip()
        first = self.peek()
        if first == "{":
            self.members(depth)
        elif first == "[":
            self.elements(depth)
        elif first == '"':
            self.string()
        elif first in _LITERALS:
            self.literal(_LITERALS[first])
        elif first == "-" or first.isdigit():
            self.number()
        else:
            raise self.refuse("looking for beginning of value")

    def members(self, depth: int) -> None:
        self.at += 1
        self.skip()
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            self.skip()
            if self.peek() != '"':
                raise self.refuse("looking for beginning of object key string")
            self.string()
            self.skip()
            if self.peek() != ":":
                raise self.refuse("after object key")
            self.at += 1
            self.value(depth + 1)
            self.skip()
            if self.peek() == "}":
                self.at += 1
                return
            if self.peek() != ",":
                raise self.refuse("after object key:value pair")
            self.at += 1

    def elements(self, depth: int) -> None:
        self.at += 1
        self.skip()
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            self.value(depth + 1)
            self.skip()
            if self.peek() == "]":
                self.at += 1
                return
            if self.peek() != ",":
                raise self.refuse("after array element")
            self.at += 1

    def string(self) -> None:
        self.at += 1
        while (char := self.peek()) != '"':
            if char < " ":
                raise self.refuse("in string literal")
            self.at += 1
            if char == "\\":
                if self.peek() == "u":
                    for _ in range(4):
                        self.at += 1
                        if self.peek() not in "0123456789abcdefABCDEF":
                            raise self.refuse("in \\u hexadecimal character escape")
                elif self.peek() not in 'bfnrt\\/"':
                    raise self.refuse("in string escape code")
                self.at += 1
        self.at += 1

    def literal(self, word: str) -> None:
        for index, char in enumerate(word):
            if self.peek() != char:
                raise self.refuse(f"in literal {word} (expecting {_quoted(word[index])})")
            self.at += 1

    def number(self) -> None:
        if self.peek() == "-":
            self.at += 1
            if not self.peek().isdigit():
                raise self.refuse("in numeric literal")
        if self.peek() == "0":
            self.at += 1
        else:
            self.digits()
        if self._more() == ".":
            self.at += 1
            if not self.peek().isdigit():
                raise self.refuse("after decimal point in numeric literal")
            self.digits()
        if self._more() in ("e", "E"):
            self.at += 1
            if self.peek() in "+-":
                self.at += 1
            if not self.peek().isdigit():
                raise self.refuse("in exponent of numeric literal")
            self.digits()

    def digits(self) -> None:
        while self._more().isdigit():
            self.at += 1

    def _more(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""


def explain(body: bytes) -> str:
    """The error; "" if this is JSON after all."""
    scanner = _Scanner(body.decode("utf-8", errors="replace"))
    try:
        scanner.value(0)
        scanner.skip()
        if scanner.at < len(scanner.text):
            raise scanner.refuse("after top-level value")
    except _Problem as problem:
        return str(problem)
    except RecursionError:
        return "exceeded max depth"
    return ""


def _quoted(char: str) -> str:
    """strconv.Quote between single quotes."""
    if char == "'":
        return r"'\''"
    if char == '"':
        return "'\"'"
    special = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\"}
    return f"'{special.get(char, char)}'"
