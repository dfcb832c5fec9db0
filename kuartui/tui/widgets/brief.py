"""What an attempt looks like in words: the clock line, the checks, guards and hints. Pure: view in, text out."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from kuartui.play.view import AttemptView, CheckView, TimelineEntry
from kuartui.prose import check_word
from kuartui.translate import tr, trn
from kuartui.tui.text import join, lines, mark, paragraphs, plain, span

LAST_MINUTE = 60.0
ROOMY = 72  # columns from which the clock line says everything
#: kinds of timeline entries, with a mark and a style
KINDS = {
    "write": ("»", "$text-accent"),
    "reaction": ("·", "$text-muted"),
    "warning": ("!", "$text-warning"),
    "passed": ("✓", "$text-success"),
    "lost": ("✗", "$text-error"),
    "guard": ("!", "bold $text-error"),
    "incident": ("!", "bold $text-warning"),
    "started": ("▸", "bold"),
    "hint": ("?", "$text-accent"),
    "solutions": ("=", "$text-accent"),
    "reset": ("↺", "$text-warning"),
    "drill": ("~", "$text-warning"),
    "paused": ("‖", "$text-muted"),
    "resumed": ("▸", "$text-muted"),
    "over": ("■", "bold"),
}


def clock(view: AttemptView, width: int) -> Content:
    """One line that is always there: time, checks and points, with as many words as fit into `width`."""
    level = view.level
    style = "$text-error" if view.remaining < LAST_MINUTE else "$text-warning" if view.elapsed > level.par_time else ""
    now = span(view.elapsed) + (f" {tr('paused')}" if view.paused else "")
    marks = join(*(mark(check.state) for check in view.checks))
    green = f" {sum(check.green for check in view.checks)}/{len(view.checks)}"
    par, limit = span(level.par_time), span(level.time_limit)
    if width < ROOMY:
        times = f"/{limit} {tr('par')} {par}  "
        points = f"  {tr('{now}→{possible} p', now=view.score.total, possible=view.potential)}"
    else:
        times = f" {tr('par {par}, limit {limit}', par=par, limit=limit)}   "
        points = "   " + tr("{now} points, {possible} possible", now=view.score.total, possible=view.potential)
    if view.mode == "practice":
        points = ("   " if width >= ROOMY else "  ") + tr("practice")
    if view.mode == "exam":
        style = "$text-error" if view.remaining < LAST_MINUTE else ""
        now, times = span(view.remaining), f" {tr('left of the exam, {time} on this task', time=span(view.elapsed))}   "
        points = ""
        if width < ROOMY:
            times = f" {tr('left')}, {span(view.elapsed)}  "
    if view.withheld:
        return join(plain(now, f"bold {style}".strip()), plain(times.rstrip()))
    word = f" {tr('checks')}" if width >= ROOMY else ""
    return join(plain(now, f"bold {style}".strip()), plain(times), marks, plain(f"{green}{word}{points}"))


def alarm(view: AttemptView, silent: float = 0.0) -> Content | None:
    """One line that is there when something is: the cluster is away, or `silent` for so many seconds, a guard is
    broken, set-up is going on."""
    if view.trouble:
        return plain("! " + tr("{trouble}; trying again", trouble=view.trouble), "bold $text-error")
    if view.phase in ("setup", "drill"):
        word = tr("drill") if view.phase == "drill" else tr("setting up")
        return plain(f"… {word}: {view.progress}" if view.progress else f"… {word}", "bold $text-warning")
    if silent:
        text = tr("the cluster has not answered for {seconds} s; waiting for it", seconds=round(silent))
        return plain(f"! {text}", "bold $text-error")
    if view.paused and view.mode == "exam":
        return plain("‖ " + tr("another task is in play; Esc leads to all of them"), "bold $text-warning")
    if view.paused:
        return plain("‖ " + tr("the clock stands; p lets it go on (F9 leaves the terminal)"), "bold $text-warning")
    broken = [guard for guard in view.guards if guard.broken]
    if broken:
        more = f" (+{len(broken) - 1})" if len(broken) > 1 else ""
        return plain("! " + tr("broken: {guard}", guard=broken[0].title) + more, "bold $text-error")
    return None


def task(view: AttemptView) -> Content:
    """What to do: the one thing that is not to be looked for."""
    return lines(paragraphs(view.level.task), "")


def checks(view: AttemptView) -> Content:
    """The checks with what was seen, and the guards; what is asked for, where the rest is not to be told yet."""
    if view.withheld:
        asked = [join("- ", plain(check.title), plain(f"  {check.weight} %", "$text-muted")) for check in view.checks]
        return lines(*asked, plain(tr("How it went is told after the exam."), "$text-muted"))
    rows: list[Content | str] = []
    ahead = {check.name: check.title for check in view.checks if not check.green}
    for check in view.checks:
        rows += _check(check, [ahead[name] for name in check.waits_for if name in ahead])
    for guard in view.guards:
        if guard.broken:
            help_ = tr("F8 sets the level up anew") if guard.sticky else tr("put it back")
            rows.append(plain("! " + tr("broken: {guard}", guard=guard.title), "bold $text-error"))
            rows.append(plain(f"    {guard.why} ({help_})" if guard.why else f"    {help_}", "$text-error"))
    kept = sum(not guard.broken for guard in view.guards)
    if kept:
        rows.append(plain("✓ " + trn("{n} guard holds", "{n} guards hold", kept), "$text-muted"))
    return lines(*rows)


def hints(view: AttemptView) -> Content:
    """Those that were taken, and what the next one costs."""
    rows: list[Content | str] = []
    for hint in view.hints:
        cost = tr("Hint {number} (-{cost} p)", number=hint.index + 1, cost=hint.cost)
        rows.append(join(plain(f"{cost}: ", "bold $text-accent"), plain(paragraphs(hint.text))))
    if view.next_hint_cost is not None:
        offer = trn("{n} hint left", "{n} hints left", view.hints_left)
        cost = tr("the next is free (F3)")
        if view.next_hint_cost:
            cost = tr("the next costs {cost} points (F3)", cost=view.next_hint_cost)
        rows.append(plain("  " + tr("{one}, {other}", one=offer, other=cost), "$text-muted"))
    return lines(*rows, "")


def _check(check: CheckView, before: Sequence[str]) -> list[Content | str]:
    """A check; `before` are the titles of those that it waits for."""
    word = check_word(check.state)
    if check.state == "holding":
        word = tr("holding, {time} left", time=span(check.hold_left))
    elif check.state == "waiting" and before:
        word = tr("waits for {checks}", checks=", ".join(tr("“{title}”", title=title) for title in before))
    elif check.hold and not check.green:
        word = tr("{word}, must hold {time}", word=word, time=span(check.hold))
    points = tr("{points} p", points=check.points)
    rows: list[Content | str] = [
        join(mark(check.state), " ", plain(check.title), plain(f"  {points} {word}", "$text-muted"))
    ]
    seen = check.problem or check.observed
    if seen and not check.green:
        rows.append(plain(f"    {seen}", "$text-muted"))
    if check.voided_by:
        rows.append(plain("    " + tr("no points: {guard} is broken", guard=check.voided_by), "$text-error"))
    return rows


def story(view: AttemptView) -> Content:
    """What to leave alone, what it is about, and where."""
    level = view.level
    place = plain(tr("namespace {name}, cluster {cluster}", name=level.namespace, cluster=view.cluster), "$text-muted")
    kept: list[Content | str] = [plain(f"- {guard.title}") for guard in level.guards]
    if kept:
        kept = [plain(tr("Must stay as it is:"), "bold"), *kept, ""]
    return lines(*kept, plain(level.title, "bold"), "", paragraphs(level.story), "", place)


def entry(item: TimelineEntry) -> Content:
    """One line of the timeline."""
    sign, style = KINDS.get(item.kind, ("-", ""))
    return join(plain(f"{span(item.at):>5} ", "$text-muted"), plain(f"{sign} {item.text}", style))
