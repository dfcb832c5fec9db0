"""$(NAME) in commands, arguments and variables, after third_party/forked/golang/expansion.

`$$(NAME)` gives a literal `$(NAME)`; a reference to something unknown stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def expand(text: str, *variables: Mapping[str, str]) -> str:
    """`text` with its references resolved; the first mapping that has a name wins."""
    if "$" not in text:
        return text
    out: list[str] = []
    position, end = 0, len(text)
    while position < end:
        char = text[position]
        if char != "$" or position + 1 >= end:
            out.append(char)
            position += 1
            continue
        after = text[position + 1]
        if after == "$":
            out.append("$")
            position += 2
            continue
        close = text.find(")", position) if after == "(" else -1
        if close < 0:
            out.append("$" + after)
            position += 2
            continue
        name = text[position + 2 : close]
        out.append(next((known[name] for known in variables if name in known), f"$({name})"))
        position = close + 1
    return "".join(out)


def variables_in(text: str) -> set[str]:
    """The names that `text` refers to."""
    return set(re.findall(r"\$\(([^)]*)\)", text.replace("$$", "")))
