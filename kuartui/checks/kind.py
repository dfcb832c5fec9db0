"""What a type of question is to the engine: what it reads, when it looks by itself, how it looks and how it judges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kuartui.checks.evidence import Evidence, Verdict
from kuartui.game.spec import ResourceQuery

if TYPE_CHECKING:
    from kuartui.checks.world import World

Queries = Callable[[Any], tuple[ResourceQuery, ...]]


@dataclass(frozen=True, slots=True)
class QuestionKind:
    """`reads(spec)` are watched, and a change there makes it look again; `period(spec)` is in seconds of the cluster's
    clock, None for what watches alone decide. `observe` may do I/O; `judge` is pure."""

    name: str
    reads: Queries
    observe: Callable[[Any, World, str], Awaitable[Evidence]]  # spec, world, name of the question
    judge: Callable[[Any, Evidence], Verdict]
    period: Callable[[Any], float | None] = lambda _: None
    capture: Callable[[Any, World], Awaitable[Evidence]] | None = None  # what to remember from the start


def nothing(_: Any) -> tuple[ResourceQuery, ...]:
    """For questions that no watch can answer."""
    return ()


NETWORK = tuple(
    ResourceQuery(kind=kind) for kind in ("Pod", "Service", "EndpointSlice", "NetworkPolicy")
)  # what decides who reaches whom, in the level's namespace


def network(_: Any) -> tuple[ResourceQuery, ...]:
    return NETWORK


def pods(spec: Any) -> tuple[ResourceQuery, ...]:
    """The pods a probe works from."""
    where = spec.from_
    if isinstance(where, str) or where is None:
        return (ResourceQuery(kind="Pod"),)
    return (ResourceQuery(kind="Pod", namespace=where.namespace, selector=where.selector, name=where.pod),)


def every(spec: Any) -> float | None:
    """The period that the level gives."""
    return float(spec.every)
