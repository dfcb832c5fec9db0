"""What can be known of a script before it runs: the commands it names, whether it does one thing at a time, its traps.

None of this has to be complete: it decides what gets registered up front and how carefully time is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
WORD = re.compile(r"[A-Za-z0-9_.\-/\[]+")
FOREVER = re.compile(r"^\s*while\s+(?:true|:|\[\s*1\s*\])\s*;?\s*do\s*(?:true|:)?\s*;?\s*done\s*$")
RESERVED = frozenset("done fi esac } ) do then else in".split())


@dataclass(frozen=True)
class Script:
    """A shell script's text and what it shows."""

    text: str

    @property
    def words(self) -> frozenset[str]:
        """Everything that could be a command's name."""
        return frozenset(WORD.findall(self.text))

    @property
    def single(self) -> bool:
        """Whether it does one thing at a time: no pipes, no background jobs, nothing that hides some."""
        bare = QUOTED.sub("Q", self.text) if "eval" not in self.text else self.text
        bare = bare.replace("||", ";").replace("&&", ";")
        bare = re.sub(r"[<>]&|&>", ">", bare)
        if "|" in bare or "&" in bare or "<(" in bare or ">(" in bare or "coproc" in bare:
            return False
        inner = " ".join(QUOTED.findall(self.text))
        hidden = re.search(r"[|&]", re.sub(r"\|\||&&|[<>]&", "", inner))
        runs_text = re.search(r"\b(sh|bash|ash|eval|source|xargs)\b|(^|[;\s])\.\s", self.text)
        return not runs_text or (not hidden and not re.search(r"(^|[;\s])(\.|source|(ba|a)?sh)\s+[^-\s]", self.text))

    @property
    def waits(self) -> bool:
        """Whether it uses `wait`, which a signal interrupts, unlike a command in the foreground."""
        return re.search(r"(^|[;&\s])wait\b", self.text) is not None

    @property
    def spins(self) -> bool:
        """Whether it is the classic loop that only burns CPU."""
        return FOREVER.match(self.text) is not None

    def traps(self, signal: str) -> bool:
        """Whether it seems to trap a signal."""
        return re.search(rf"\btrap\b[^\n]*\b(SIG)?{signal}\b", self.text) is not None

    def becomes(self, *, from_flag: bool) -> frozenset[str]:
        """Names of commands that replace the shell: after `exec`, and (ash, dash with -c) the very last one."""
        names = set(re.findall(r"(?:^|[;&|\s({])exec\s+(?:-\w+\s+)*([^\s;&|<>]+)", self.text))
        if from_flag and "trap" not in self.text:
            last = re.split(r"[;\n]|&&|\|\|", QUOTED.sub("Q", self.text).strip().rstrip(";"))[-1].split()
            while last and re.match(r"\w+=", last[0]):
                last.pop(0)
            if last and last[0] not in RESERVED and "|" not in last and "&" not in last:
                names.add(last[0])
        return frozenset(names)


def quote(argument: str) -> str:
    """An argument for the shell; bytes as they are."""
    return "'" + argument.replace("'", "'\\''") + "'"
