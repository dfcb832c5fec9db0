"""The par time of a level, worked out from what a player has to read, find and type.

    reading   words of title, story, task and of the titles of checks and guards, at 150 a minute: text in which every
              word may matter is read slower than the 240 a minute of prose (Brysbaert 2019)
    finding   half a minute to look around, and for each check 25 seconds: a look before and a look after
    typing    each line of the quickest solution: 10 seconds to think of it, then 3 characters a second (a common 36
              words a minute); a document in it is half copied, so 6 a second
    thinking  finding and typing take a fifth more for each step of difficulty above 1
    waiting   what the cluster takes to settle: `hold`, pauses in the solution, or what a proof measured

The numbers were set so that the first 28 levels come out near the par that their authors had estimated (0.88 to 1.30
times). An author may stay within 0.8 to 1.25 times of what comes out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kuartui.game.duration import Duration
from kuartui.game.level import Level, Solution

WORDS_A_MINUTE = 150
AROUND = 30.0  # seconds
PER_CHECK = 25.0
PER_LINE = 10.0
TYPED = 3.0  # characters a second
COPIED = 6.0
PER_DIFFICULTY = 0.2
BAND = (0.8, 1.25)
PAUSE = re.compile(r"\bsleep (\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Par:
    """Seconds of each part."""

    reading: float
    finding: float
    typing: float
    waiting: float

    @property
    def total(self) -> float:
        return self.reading + self.finding + self.typing + self.waiting

    @property
    def rounded(self) -> Duration:
        """To half a minute up to five minutes, to a minute above."""
        unit = 30 if self.total <= 300 else 60
        return Duration(max(unit, round(self.total / unit) * unit))

    def fits(self, par: float) -> bool:
        """Whether an author's par is within the band."""
        low, high = BAND
        return low * self.total <= par <= high * self.total


def par_of(level: Level, settling: float | None = None) -> Par:
    """`settling`: seconds that the cluster took in a proof; without one, what the level itself says of waiting."""
    effort = 1 + PER_DIFFICULTY * (level.difficulty - 1)
    quickest = min(level.solutions, key=_typing)
    return Par(
        reading=_words(level) * 60 / WORDS_A_MINUTE,
        finding=(AROUND + PER_CHECK * len(level.checks)) * effort,
        typing=_typing(quickest) * effort,
        waiting=_stated(level, quickest) if settling is None else settling,
    )


def _words(level: Level) -> int:
    texts = [level.title, level.story, level.task, *(item.title for item in (*level.checks, *level.guards))]
    return sum(len(text.split()) for text in texts)


def _typing(solution: Solution) -> float:
    total = 0.0
    for line in solution.run:
        if PAUSE.fullmatch(line.strip()):
            continue
        command, _, document = line.partition("\n")
        total += PER_LINE + len(command) / TYPED + len(document) / COPIED
    return total


def _stated(level: Level, solution: Solution) -> float:
    """The longest hold, and the pauses of the solution."""
    pauses = sum(float(seconds) for line in solution.run for seconds in PAUSE.findall(line))
    return max((float(check.hold) for check in level.checks), default=0.0) + pauses
