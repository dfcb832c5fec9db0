"""The expressions inside a question: so that the catalogue can compile them and the checks evaluate the same ones."""

from __future__ import annotations

from collections.abc import Iterator

from kuartui.game.level import Question
from kuartui.game.spec import (
    AdmissionSpec,
    AnswerSpec,
    AnySpec,
    ContainerSpec,
    DataSpec,
    ExecSpec,
    FileSpec,
    HistorySpec,
    ImageSpec,
    LogsSpec,
    MetricSpec,
    ReachSpec,
    StateSpec,
    TrafficSpec,
)

TRAFFIC_VARIABLES = ("ok", "failed", "total", "rate", "share", "p50", "p95", "age")
METRIC_VARIABLES = ("pods", "nodes")
IMAGE_VARIABLES = ("image", "history", "ran", "files")
CONTAINER_VARIABLES = ("container", "start", "answer", "logs")


def expressions(spec: AnySpec) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(field, CEL source, names of its variables)"""
    match spec:
        case StateSpec():
            names = tuple(spec.resources)
            yield "cel", spec.cel, names
        case HistorySpec():
            names = tuple(spec.resources)
            yield "always", spec.always, names
        case DataSpec():
            names = tuple(spec.reads)
            yield "cel", spec.cel, names
        case TrafficSpec():
            names = TRAFFIC_VARIABLES
            yield "cel", spec.cel, names
        case MetricSpec():
            names = METRIC_VARIABLES
            yield "cel", spec.cel, names
        case ImageSpec():
            names = IMAGE_VARIABLES
            yield "cel", spec.cel, names
        case ContainerSpec():
            names = CONTAINER_VARIABLES
            yield "cel", spec.cel, names
        case _:
            return
    if spec.observe:
        yield "observe", spec.observe, names


def patterns(question: Question) -> Iterator[tuple[str, str]]:
    """(field, regular expression)"""
    spec = question.spec
    found: list[tuple[str, str | None]] = []
    match spec:
        case ReachSpec():
            found = [("body", spec.body), ("notBody", spec.not_body)]
        case LogsSpec() | FileSpec():
            found = [("contains", spec.contains), ("absent", spec.absent)]
        case ExecSpec():
            found = [("stdout", spec.stdout)]
        case AdmissionSpec():
            found = [("message", spec.message)]
        case AnswerSpec():
            found = [("matches", spec.matches)]
    yield from ((name, pattern) for name, pattern in found if pattern is not None)
