"""Which devices a pod's ResourceClaims get on a node (k8s.io/dynamic-resource-allocation/structured).

Devices come from ResourceSlices, and count if their pool is complete. Requests are tried one after the other, with the
first devices that fit, and taken back where a later one finds none. Left out: counters and capacity that devices share,
devices of several claims, conditions that a driver must meet before a pod is bound.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from kuartui.embedded.cel import CelError, compile_cel
from kuartui.embedded.cel_library import semver
from kuartui.embedded.meta import quantity
from kuartui.embedded.scheduler.matching import matches_node_terms, tolerates

Obj = dict[str, Any]

MOST_TRIES = 10_000  # of sets of devices for one node
EFFECTS = ("NoSchedule", "NoExecute")
_DOMAINS = re.compile(r"\b(attributes|capacity)\s*\[\s*[\"']([^\"']+)[\"']\s*\]")

DeviceId = tuple[str, str, str]  # driver, pool, name


class SelectorError(ValueError):
    """A selector that does not compile or gives no answer, as the scheduler says it."""


class Device(Struct, frozen=True):
    """A device of a complete pool."""

    id: DeviceId
    body: Obj
    place: Obj
    """Where it is: nodeName, nodeSelector or allNodes, of its slice or its own."""

    def on(self, node: Obj) -> bool:
        """Whether a pod on the node can have it."""
        if self.place.get("allNodes"):
            return True
        if self.place.get("nodeName"):
            return bool(self.place["nodeName"] == node["metadata"]["name"])
        selector = self.place.get("nodeSelector")
        return selector is not None and matches_node_terms(selector.get("nodeSelectorTerms") or (), node)

    def variable(self, source: str) -> Obj:
        """The variable `device` of CEL. A domain that `source` asks for is there, if need be without anything in it."""
        driver = self.id[0]
        found: Obj = {"driver": driver, "attributes": {}, "capacity": {}}
        for kind, domain in _DOMAINS.findall(source):
            found[kind].setdefault(domain, {})
        for name, value in (self.body.get("attributes") or {}).items():
            domain, _, short = name.rpartition("/")
            found["attributes"].setdefault(domain or driver, {})[short] = _attribute(value)
        for name, value in (self.body.get("capacity") or {}).items():
            domain, _, short = name.rpartition("/")
            found["capacity"].setdefault(domain or driver, {})[short] = float(quantity.parse(value["value"]).value)
        found["allowMultipleAllocations"] = bool(self.body.get("allowMultipleAllocations"))
        return found


def _attribute(value: Obj) -> Any:
    (kind, plain), *_ = value.items()
    return semver(plain) if kind == "version" else plain


def devices(slices: Iterable[Obj]) -> list[Device]:
    """The devices of all pools whose newest generation is complete, in the order of slices."""
    pools: dict[tuple[str, str], list[Obj]] = {}
    for one in slices:
        pools.setdefault((one["spec"]["driver"], one["spec"]["pool"]["name"]), []).append(one["spec"])
    found = []
    for (driver, pool), specs in pools.items():
        newest = max(spec["pool"].get("generation", 0) for spec in specs)
        current = [spec for spec in specs if spec["pool"].get("generation", 0) == newest]
        if len(current) != current[0]["pool"].get("resourceSliceCount"):
            continue
        for spec in current:
            for body in spec.get("devices") or ():
                place = body if spec.get("perDeviceNodeSelection") else spec
                found.append(Device((driver, pool, body["name"]), body, place))
    return found


def taken(claims: Iterable[Obj]) -> set[DeviceId]:
    """The devices that claims have, but for those that only administrators look at."""
    return {
        (one["driver"], one["pool"], one["device"])
        for claim in claims
        for one in (((claim.get("status") or {}).get("allocation") or {}).get("devices") or {}).get("results") or ()
        if not one.get("adminAccess")
    }


class Wanted(Struct, frozen=True):
    """One way to satisfy a request of a claim: the only one, or one of `firstAvailable`."""

    claim: Obj
    name: str
    body: Obj

    @property
    def everything(self) -> bool:
        return bool(self.body.get("allocationMode") == "All")


class Allocator:
    """Looks for devices for `claims`. `classes` are the DeviceClasses by name; all that the claims name are there."""

    def __init__(self, claims: list[Obj], found: list[Device], used: set[DeviceId], classes: dict[str, Obj]) -> None:
        self._claims, self._devices, self._used, self._classes = claims, found, used, classes
        self._requests = [_ways(claim, one) for claim in claims for one in _requests(claim)]
        self._fits: dict[tuple[str, str, DeviceId], bool] = {}

    def allocate(self, node: Obj) -> list[Obj] | None:
        """`status.allocation` of each claim on a node; None if there are not enough devices. Raises SelectorError."""
        here = [device for device in self._devices if device.on(node)]
        picks: list[tuple[Wanted, tuple[Device, ...]]] = []
        if not self._solve(0, here, picks, itertools.count(1)):
            return None
        return [
            self._allocation(claim, [pick for pick in picks if pick[0].claim is claim], node) for claim in self._claims
        ]

    def _solve(
        self, at: int, here: list[Device], picks: list[tuple[Wanted, tuple[Device, ...]]], tries: Iterator[int]
    ) -> bool:
        if at == len(self._requests):
            return True
        for wanted in self._requests[at]:
            for chosen in self._choices(wanted, here, picks):
                if next(tries) > MOST_TRIES:
                    return False
                picks.append((wanted, chosen))
                if _agree(wanted.claim, picks) and self._solve(at + 1, here, picks, tries):
                    return True
                picks.pop()
        return False

    def _choices(
        self, wanted: Wanted, here: list[Device], picks: list[tuple[Wanted, tuple[Device, ...]]]
    ) -> Iterator[tuple[Device, ...]]:
        gone = set() if wanted.body.get("adminAccess") else self._used | _chosen(picks)
        if wanted.everything:
            fitting = tuple(device for device in here if self._fit(wanted, device))
            if fitting and not gone & {device.id for device in fitting}:
                yield fitting
        else:
            free = [device for device in here if device.id not in gone]
            yield from self._sets(wanted, free, wanted.body.get("count") or 1)

    def _sets(self, wanted: Wanted, free: list[Device], count: int) -> Iterator[tuple[Device, ...]]:
        """Sets of so many devices that fit. Devices are looked at when it is their turn: a selector may fail on others."""
        if count == 0:
            yield ()
            return
        for at, device in enumerate(free):
            if self._fit(wanted, device):
                for rest in self._sets(wanted, free[at + 1 :], count - 1):
                    yield device, *rest

    def _fit(self, wanted: Wanted, device: Device) -> bool:
        key = (wanted.claim["metadata"]["uid"], wanted.name, device.id)
        if key not in self._fits:
            taints = [taint for taint in device.body.get("taints") or () if taint.get("effect") in EFFECTS]
            tolerated = all(tolerates(wanted.body.get("tolerations"), taint) for taint in taints)
            self._fits[key] = tolerated and self._selected(wanted, device)
        return self._fits[key]

    def _selected(self, wanted: Wanted, device: Device) -> bool:
        name, meta = wanted.body["deviceClassName"], wanted.claim["metadata"]
        ours = f"claim {meta['namespace']}/{meta['name']}"
        lists = (
            (f"class {name}", (self._classes[name].get("spec") or {}).get("selectors")),
            (ours, wanted.body.get("selectors")),
        )
        return all(
            _holds(device, one, f"{whose}: selector #{i}") for whose, many in lists for i, one in enumerate(many or ())
        )

    def _allocation(self, claim: Obj, picks: list[tuple[Wanted, tuple[Device, ...]]], node: Obj) -> Obj:
        results, config = [], []
        for wanted, chosen in picks:
            for device in chosen:
                driver, pool, name = device.id
                result = {"request": wanted.name, "driver": driver, "pool": pool, "device": name}
                result |= {key: wanted.body[key] for key in ("adminAccess", "tolerations") if wanted.body.get(key)}
                results.append(result)
            of_class = (self._classes[wanted.body["deviceClassName"]].get("spec") or {}).get("config") or ()
            config += [{"source": "FromClass", "requests": [wanted.name], **one} for one in of_class]
        own = (claim["spec"].get("devices") or {}).get("config") or ()
        config += [{"source": "FromClaim", **one} for one in own]
        made: Obj = {"devices": {"results": results, **({"config": config} if config else {})}}
        if selector := _node_selector([device.place for _, chosen in picks for device in chosen]):
            made["nodeSelector"] = selector
        return made


def _chosen(picks: list[tuple[Wanted, tuple[Device, ...]]]) -> set[DeviceId]:
    return {device.id for _, chosen in picks for device in chosen}


def _requests(claim: Obj) -> list[Obj]:
    return (claim["spec"].get("devices") or {}).get("requests") or []


def _ways(claim: Obj, request: Obj) -> list[Wanted]:
    if request.get("exactly"):
        return [Wanted(claim, request["name"], request["exactly"])]
    return [Wanted(claim, f"{request['name']}/{sub['name']}", sub) for sub in request.get("firstAvailable") or ()]


def _holds(device: Device, selector: Obj, where: str) -> bool:
    source = (selector.get("cel") or {}).get("expression", "")
    try:
        program = compile_cel(source, ["device"])
    except CelError as error:
        raise SelectorError(f"{where}: CEL compile error: {error}") from None
    try:
        return bool(program.evaluate({"device": device.variable(source)}))
    except CelError as error:
        raise SelectorError(f"{where}: CEL runtime error: {error}") from None


def _agree(claim: Obj, picks: list[tuple[Wanted, tuple[Device, ...]]]) -> bool:
    """Whether the devices so far have the same value of each attribute that a claim wants them to share."""
    for constraint in (claim["spec"].get("devices") or {}).get("constraints") or ():
        attribute, names = constraint.get("matchAttribute"), constraint.get("requests")
        if not attribute:
            continue
        values = []
        for wanted, chosen in picks:
            if wanted.claim is claim and (not names or {wanted.name, wanted.name.partition("/")[0]} & set(names)):
                values += [_value(device, attribute) for device in chosen]
        if any(value is None or value != values[0] for value in values):
            return False
    return True


def _value(device: Device, attribute: str) -> Any:
    """A qualified attribute; a device may leave out its own driver's domain."""
    attributes = device.body.get("attributes") or {}
    domain, _, short = attribute.rpartition("/")
    return attributes.get(attribute) or (attributes.get(short) if domain == device.id[0] else None)


def _node_selector(places: list[Obj]) -> Obj | None:
    """Which nodes can reach devices at all of these places; None for every node."""
    named = next((place["nodeName"] for place in places if place.get("nodeName")), "")
    if named:
        field = {"key": "metadata.name", "operator": "In", "values": [named]}
        return {"nodeSelectorTerms": [{"matchFields": [field]}]}
    terms = [term for place in places for term in (place.get("nodeSelector") or {}).get("nodeSelectorTerms") or ()]
    merged: Obj = {}
    for term in terms:
        for key, wanted in term.items():
            merged[key] = [*merged.get(key, ()), *(one for one in wanted if one not in merged.get(key, ()))]
    return {"nodeSelectorTerms": [merged]} if merged else None
