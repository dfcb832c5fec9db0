"""`kuartui progress`: what you played and how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kuartui.cli import output, report, together
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import LARGEST, Option
from kuartui.cli.run import Noun, command
from kuartui.message import later
from kuartui.prose import outcome_word
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.progress.store import AttemptRecord

app = Noun(help="What you played and how it went.")


def _domains(name: str, out: Format) -> None:
    """How many levels of each domain of an exam are solved, and how many wait for a review."""
    from kuartui.catalog.catalog import Catalog
    from kuartui.play.exams import readiness
    from kuartui.progress.store import Store

    store = Store()
    try:
        found = readiness(name, store=store, cards=Catalog.default().cards())
    finally:
        store.close()
    if out is Format.json:
        output.data(
            [
                {
                    "domain": part.domain.name,
                    "title": part.domain.title,
                    "weight": part.domain.weight,
                    "levels": part.levels,
                    "solved": part.solved,
                    "due": part.due,
                    "open": list(part.open),
                }
                for part in found
            ]
        )
        return
    output.table(
        [later("WEIGHT"), later("SOLVED"), later("DUE"), later("DOMAIN"), later("NEXT")],
        [
            [
                f"{part.domain.weight} %",
                f"{part.solved}/{part.levels}",
                part.due or "-",
                part.domain.title,
                part.open[0] if part.open else "-",
            ]
            for part in found
        ],
    )


def _outcome(attempt: AttemptRecord) -> str:
    """How it ended, and whether it was for points."""
    word = outcome_word(attempt.outcome) if attempt.outcome else tr("in play")
    what = {"practice": tr("practice"), "exam": tr("exam")}.get(attempt.mode)
    return tr("{one}, {other}", one=word, other=what) if what else word


@command(app, "show")
def show(
    level: Annotated[str, Option(help="Only attempts at this level.")] = "",
    limit: Annotated[int, Option(min=1, max=LARGEST, help="How many attempts at most.")] = 20,
    exam: Annotated[str, Option(help="Instead, what you solved of each domain: CKA, CKAD.")] = "",
    out: Output = Format.text,
) -> None:
    """Show best scores and the latest attempts."""
    if exam:
        for option in together.given("level", "limit"):
            hint = later("--exam tells of its domains, {option} of attempts", option=option)
            raise together.refused("--exam", option, hint)
        _domains(exam, out)
        return
    from kuartui.progress.store import Store

    store = Store()
    try:
        best = {name: record for name, record in sorted(store.best().items()) if not level or name == level}
        attempts = store.attempts(level or None, limit)
    finally:
        store.close()
    if out is Format.json:
        output.data(
            {
                "total": sum(record.score for record in best.values()),
                "best": [
                    {"level": b.level, "score": b.score, "elapsed": b.elapsed, "medal": b.medal, "attempts": b.attempts}
                    for b in best.values()
                ],
                "attempts": [
                    {
                        "id": a.id,
                        "level": a.level,
                        "seed": a.seed,
                        "mode": a.mode,
                        "cluster": a.cluster,
                        "begun": a.begun.isoformat(),
                        "outcome": a.outcome,
                        "score": a.score,
                        "elapsed": a.elapsed,
                    }
                    for a in attempts
                ],
            }
        )
        return
    if not attempts and level:
        output.line(tr("{level} was not played yet", level=level))
        return
    if not attempts:
        output.line(tr("nothing played yet: kuartui level list"))
        return
    rows = [
        [
            b.level,
            b.score,
            tr(b.medal) if b.medal else "-",
            "-" if b.elapsed is None else report.span(b.elapsed),
            b.attempts,
        ]
        for b in best.values()
    ]
    if rows:
        output.table([later("LEVEL"), later("BEST"), later("MEDAL"), later("TIME"), later("ATTEMPTS")], rows)
        output.line(tr("total: {points} points", points=sum(record.score for record in best.values())))
        output.line()
    output.table(
        [later("BEGUN"), later("LEVEL"), later("SEED"), later("OUTCOME"), later("SCORE"), later("TIME")],
        [
            [
                a.begun.astimezone().strftime("%Y-%m-%d %H:%M"),
                a.level,
                a.seed,
                _outcome(a),
                a.score if a.outcome else "-",
                report.span(a.elapsed) if a.outcome else "-",
            ]
            for a in attempts
        ],
    )
