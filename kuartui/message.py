"""Sentences that can be said in another language later.

    raise UsageError(later("no port {port}", port=port))      # is a str, in English: "no port 80"
    tr(error.message)                                          # at the edge: "没有端口 80"

What finds a fault does not know who will read of it: a player in his language, a script in English, a log. So the
sentence remembers how it was made, and `kuartui.translate.tr` says it anew. A value may be such a sentence as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce


class Message(str):
    """An English text that knows its `template` (the key in the catalogues) and the `values` filled in."""

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, values: dict[str, object]) -> Message:
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template, made.values = template, values
        return made

    def __reduce__(self) -> tuple[type[Message], tuple[str, dict[str, object]]]:
        return Message, (self.template, self.values)  # copies are as whole as it is


def later(template: str, /, **values: object) -> Message:
    """A text that is translated where it is shown; `{names}` are filled in."""
    return Message(template, values)


def together(sentences: Sequence[str]) -> str:
    """One after the other: "one; two"; "" for none."""
    first, *others = sentences or ("",)
    return reduce(lambda before, following: later("{one}; {two}", one=before, two=following), others, first)
