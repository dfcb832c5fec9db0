"""What a check or a guard asks of the cluster: one type per kind of question, as level.yaml writes it.

These are the words of the level format (`state:`, `access:`, `reach:` …). They hold no behaviour: `kuartui.checks`
has one module per type that observes and judges. msgspec structs rather than dataclasses, because the same
definition decodes YAML with field paths in its errors and yields the published JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from kuartui.game.duration import Duration, lasting

Name = Annotated[str, Meta(min_length=1, max_length=253)]
Cel = Annotated[str, Meta(min_length=1, max_length=4000, description="A CEL expression")]
Pattern = Annotated[str, Meta(min_length=1, max_length=500, description="A regular expression (RE2 syntax)")]


class Spec(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The base of everything that level.yaml spells out: camelCase in the file, unknown fields are errors."""


class ResourceQuery(Spec, frozen=True, kw_only=True):
    """Objects to read. With `name` it is one object or null in CEL, else a list."""

    kind: Name
    api_version: str = ""  # may be left out for the kinds that Kubernetes itself serves
    name: str = ""
    namespace: str = ""  # the level's namespace when empty, every namespace when "*"
    selector: str = ""  # a label selector
    field_selector: str = ""


class StateSpec(Spec, frozen=True, kw_only=True):
    """True when `cel` is, over the objects in `resources`. `observe` says what was seen, never the answer."""

    resources: Annotated[dict[str, ResourceQuery], Meta(min_length=1)]
    cel: Cel
    observe: str = ""


class Subject(Spec, frozen=True, kw_only=True):
    """Who: a ServiceAccount of the level's namespace (or ns/name), or a user with groups."""

    service_account: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.service_account) == bool(self.user):
            raise ValueError("a subject has either serviceAccount or user")


class Action(Spec, frozen=True, kw_only=True):
    """What somebody may or may not do: every verb on every resource in every namespace listed."""

    verbs: Annotated[tuple[Name, ...], Meta(min_length=1)]
    resources: Annotated[tuple[Name, ...], Meta(min_length=1)]  # pods, pods/exec, deployments.apps
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()  # the level's when empty; "*" asks for all namespaces at once (or cluster scope)


class Grant(Spec, frozen=True, kw_only=True):
    """A rule that the subject may hold: the order, for `within`."""

    verbs: Annotated[tuple[Name, ...], Meta(min_length=1)]
    resources: Annotated[tuple[Name, ...], Meta(min_length=1)]
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()  # the level's when empty; "*" is everywhere, and what belongs to no namespace


class AccessSpec(Spec, frozen=True, kw_only=True):
    """True when every action in `allow` is allowed, every one in `deny` is denied, and the rules that the subject
    holds by any binding are covered by `within`, where given."""

    subject: Subject
    allow: tuple[Action, ...] = ()
    deny: tuple[Action, ...] = ()
    within: tuple[Grant, ...] | None = None

    def __post_init__(self) -> None:
        if not self.allow and not self.deny and self.within is None:
            raise ValueError("access needs allow, deny or within")


class AdmissionSpec(Spec, frozen=True, kw_only=True):
    """True when a server-side dry-run create of `object` is admitted, or denied with a matching message."""

    object: dict[str, Any]
    expect: Literal["admitted", "denied"] = "admitted"
    message: Pattern | None = None


class Place(Spec, frozen=True, kw_only=True):
    """A running container to work from; without one, kuartui's own probe pod."""

    pod: str = ""  # its name, or
    selector: str = ""  # the first ready pod of a label selector
    namespace: str = ""
    container: str = ""


class Share(Spec, frozen=True, kw_only=True):
    """A part of a whole in per cent, bounds included."""

    least: Annotated[int, Meta(ge=0, le=100)] = 0
    most: Annotated[int, Meta(ge=0, le=100)] = 100

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError("least must not be more than most")


class ReachSpec(Spec, frozen=True, kw_only=True):
    """True when each of `times` attempts ends as expected, or with `share` so many of them. `url` is http(s)://…, or
    tcp://host:port.

    `via` names a Gateway, an Ingress or a Service: the request goes to the address in its status, whatever DNS says of
    the URL's host, which is sent as the Host header. For http:// from a pod.
    """

    url: Name
    via: ResourceQuery | None = None
    from_: Literal["pod", "outside"] | Place = field(name="from", default="pod")
    expect: Literal["allow", "deny"] = "allow"
    status: Annotated[int, Meta(ge=100, le=599)] | None = None
    body: Pattern | None = None
    not_body: Pattern | None = None
    headers: dict[Name, str] = field(default_factory=dict)
    times: Annotated[int, Meta(ge=1, le=100)] = 1
    share: Share | None = None
    timeout: Duration = lasting(2)
    every: Duration = lasting(2)

    def __post_init__(self) -> None:
        if self.via is not None and (not self.url.startswith("http://") or self.from_ == "outside"):
            raise ValueError("via is for http:// from a pod")
        if self.via is not None and not self.via.name:
            raise ValueError("via needs a name")
        if self.headers and (not self.url.startswith("http") or self.from_ == "outside"):
            raise ValueError("headers are for http:// from a pod")


class DnsSpec(Spec, frozen=True, kw_only=True):
    """True when `name`, asked from `from`, resolves to `addresses` (any address when empty), or does not exist."""

    name: Name
    from_: Literal["pod"] | Place = field(name="from", default="pod")
    expect: Literal["resolves", "nxdomain"] = "resolves"
    addresses: tuple[str, ...] = ()
    every: Duration = lasting(2)


class ExecSpec(Spec, frozen=True, kw_only=True):
    """True when the command ends with `exitCode` and its output matches."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    from_: Literal["pod"] | Place = field(name="from", default="pod")
    exit_code: int = 0
    stdout: Pattern | None = None
    timeout: Duration = lasting(5)
    every: Duration = lasting(2)


class DataSpec(Spec, frozen=True, kw_only=True):
    """An application-level read. Each command in `reads` gives a string of that name; `cel` judges over them."""

    from_: Place = field(name="from")
    reads: Annotated[dict[str, tuple[str, ...]], Meta(min_length=1)]
    cel: Cel
    observe: str = ""
    timeout: Duration = lasting(5)
    every: Duration = lasting(2)


class LogsSpec(Spec, frozen=True, kw_only=True):
    """True when some line since `since` (all of the log when null) matches `contains`, and none `absent`.

    With `times` more than 1, so many lines must match in all pods of the selector together.
    """

    from_: Place = field(name="from")
    contains: Pattern | None = None
    absent: Pattern | None = None
    times: Annotated[int, Meta(ge=1)] = 1
    previous: bool = False
    since: Duration | None = None
    every: Duration = lasting(2)

    def __post_init__(self) -> None:
        if self.contains is None and self.absent is None:
            raise ValueError("logs needs contains or absent")
        if self.times > 1 and self.contains is None:
            raise ValueError("times counts the lines that contain something: logs needs contains")


class FileSpec(Spec, frozen=True, kw_only=True):
    """True when a file exists and matches: in a container (`from`), or in the player's workspace."""

    path: Name
    from_: Place | None = field(name="from", default=None)
    contains: Pattern | None = None
    absent: Pattern | None = None
    every: Duration = lasting(2)


class HistorySpec(Spec, frozen=True, kw_only=True):
    """Judged at every change from the attempt's start on: true while `always` never was false."""

    resources: Annotated[dict[str, ResourceQuery], Meta(min_length=1)]
    always: Cel
    observe: str = ""


class TrafficSpec(Spec, frozen=True, kw_only=True):
    """Judged over what a load generator measured in the last `window`: CEL variables ok, failed, total, rate (per
    second), share (of ok, 0..1), p50, p95 (milliseconds), age (seconds since its newest report)."""

    from_: Place = field(name="from")
    cel: Cel
    window: Duration = lasting(30)
    observe: str = ""
    every: Duration = lasting(2)


class MetricSpec(Spec, frozen=True, kw_only=True):
    """Judged over metrics.k8s.io: `pods` is a list of {name, cpu (cores), memory (bytes)}; with `nodes` likewise."""

    cel: Cel
    selector: str = ""
    namespace: str = ""
    observe: str = ""
    every: Duration = lasting(5)


class AnswerSpec(Spec, frozen=True, kw_only=True):
    """True when the data key of the ConfigMap in the level's namespace says so (white space around is ignored)."""

    config_map: Name = "answer"
    key: Name
    equals: str | None = None
    matches: Pattern | None = None

    def __post_init__(self) -> None:
        if (self.equals is None) == (self.matches is None):
            raise ValueError("answer needs either equals or matches")


class UnchangedSpec(Spec, frozen=True, kw_only=True):
    """True while the `paths` (dotted; all of spec when empty) of the objects are as they were at the start."""

    kind: Name
    api_version: str = ""
    name: str = ""
    namespace: str = ""
    selector: str = ""
    paths: tuple[str, ...] = ()


class SameUidSpec(Spec, frozen=True, kw_only=True):
    """True while the objects that there were at the start are still the very same ones (metadata.uid)."""

    kind: Name
    api_version: str = ""
    name: str = ""
    namespace: str = ""
    selector: str = ""


class HttpGet(Spec, frozen=True, kw_only=True):
    """A request from this machine to a port that a container publishes."""

    port: Annotated[int, Meta(ge=1, le=65535, description="the container's own port")]
    path: Annotated[str, Meta(pattern="^/")] = "/"


class ImageSpec(Spec, frozen=True, kw_only=True):
    """An image of the player's Docker engine. `cel` judges over `image` (what `docker image inspect` shows), `history`
    (a list of {CreatedBy, Size …}, newest first), `ran` ({exit, output} of `run` in a throw-away container without a
    network) and, with `files`, `files`: every path in any layer, also of what a later layer deletes."""

    name: Name
    cel: Cel
    run: tuple[str, ...] = ()
    files: bool = False
    observe: str = ""
    every: Duration = lasting(1)


class ContainerSpec(Spec, frozen=True, kw_only=True):
    """A container of the player's Docker engine. `cel` judges over `container` (what `docker inspect` shows), `start`
    (the same at the start of the level, or null), `answer` ({status, body} of `get`; status 0: no answer) and, with
    `logs`, `logs` (its last lines)."""

    name: Name
    cel: Cel
    get: HttpGet | None = None
    logs: bool = False
    observe: str = ""
    every: Duration = lasting(1)


AnySpec = (
    StateSpec
    | AccessSpec
    | AdmissionSpec
    | ReachSpec
    | DnsSpec
    | ExecSpec
    | DataSpec
    | LogsSpec
    | FileSpec
    | HistorySpec
    | TrafficSpec
    | MetricSpec
    | AnswerSpec
    | UnchangedSpec
    | SameUidSpec
    | ImageSpec
    | ContainerSpec
)
