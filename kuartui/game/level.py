"""What a level is. `Level` is a level.yaml for one seed: variables filled in, everything typed.

The fields of `LevelSpec` are `spec` in the file; `kuartui.catalog` reads, checks and fills them. Points per
difficulty and the meaning of par come from the curriculum: a comfortable time, reading and verifying included.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from kuartui.game.duration import Duration, lasting
from kuartui.game.spec import (
    AccessSpec,
    AdmissionSpec,
    AnswerSpec,
    AnySpec,
    ContainerSpec,
    DataSpec,
    DnsSpec,
    ExecSpec,
    FileSpec,
    HistorySpec,
    ImageSpec,
    LogsSpec,
    MetricSpec,
    Name,
    Place,
    ReachSpec,
    SameUidSpec,
    Spec,
    StateSpec,
    TrafficSpec,
    UnchangedSpec,
)

Value = str | int | dict[str, str | int]
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Text = Annotated[str, Meta(min_length=1, max_length=8000)]
Title = Annotated[str, Meta(min_length=3, max_length=60)]
FILE_PATH = re.compile(r"(\.?[A-Za-z0-9_][\w.-]*/)*\.?[A-Za-z0-9_][\w.-]*")  # within a folder: no part is . or ..
#: hidden files that nothing reads unasked. From others (.git, .envrc, .vimrc …) and from a bare repository, which is
#: known by its HEAD, a player's prompt, editor or git would take commands as soon as he is in the workspace
PLAIN_DOTS = frozenset({".dockerignore"})
#: what a level may need of a cluster beyond the API server and its controllers
Exam = Literal["CKA", "CKAD", "CKS", "KCNA"]
Need = Literal[
    "network",
    "metrics",
    "containers",
    "network-policy",
    "multi-node",
    "control-plane-taint",
    "storage",
    "local-path",
    "ingress",
    "gateway",
    "own-cluster",
    "node-power",
    "docker",
    "docker-update",
]

#: base points by difficulty
POINTS = {1: 50, 2: 100, 3: 150, 4: 200, 5: 300}

#: the field of a check or guard that holds its question, with the type of that question
QUESTIONS: dict[str, str] = {
    "state": "state",
    "access": "access",
    "admission": "admission",
    "reach": "reach",
    "dns": "dns",
    "exec_": "exec",
    "data": "data",
    "logs": "logs",
    "file": "file",
    "history": "history",
    "traffic": "traffic",
    "metric": "metric",
    "answer": "answer",
    "unchanged": "unchanged",
    "same_uid": "sameUID",
    "image": "image",
    "container": "container",
}


class Ref(Spec, frozen=True, kw_only=True):
    """One object by kind, name and namespace (the level's when empty)."""

    kind: Name
    name: Name
    namespace: str = ""
    api_version: str = ""


class Question(Spec, frozen=True, kw_only=True):
    """What checks and guards share: a name, a title, and exactly one question."""

    name: Slug
    title: Text
    state: StateSpec | None = None
    access: AccessSpec | None = None
    admission: AdmissionSpec | None = None
    reach: ReachSpec | None = None
    dns: DnsSpec | None = None
    exec_: ExecSpec | None = field(name="exec", default=None)
    data: DataSpec | None = None
    logs: LogsSpec | None = None
    file: FileSpec | None = None
    history: HistorySpec | None = None
    traffic: TrafficSpec | None = None
    metric: MetricSpec | None = None
    answer: AnswerSpec | None = None
    unchanged: UnchangedSpec | None = None
    same_uid: SameUidSpec | None = field(name="sameUID", default=None)
    image: ImageSpec | None = None
    container: ContainerSpec | None = None

    def __post_init__(self) -> None:
        asked = [name for attribute, name in QUESTIONS.items() if getattr(self, attribute) is not None]
        if len(asked) != 1:
            got = " and ".join(asked) if asked else "none"
            raise ValueError(f"{self.name} needs exactly one of {', '.join(QUESTIONS.values())}; it has {got}")

    @property
    def attribute(self) -> str:
        """The field that holds the question."""
        return next(attribute for attribute in QUESTIONS if getattr(self, attribute) is not None)

    @property
    def type(self) -> str:
        """The word in the file: state, access, sameUID …"""
        return QUESTIONS[self.attribute]

    @property
    def spec(self) -> AnySpec:
        question: AnySpec = getattr(self, self.attribute)
        return question


class Check(Question, frozen=True, kw_only=True):
    """A weighted objective: red at the start, green when the player has solved that part."""

    weight: Annotated[int, Meta(ge=1, le=100)]
    hold: Duration = lasting(0)  # it must have been true for so long (cluster time) to count
    after: tuple[Slug, ...] = ()  # it is not looked at before these checks are green


class Guard(Question, frozen=True, kw_only=True):
    """A thing that must stay true. Broken, it takes all points (zero), half of them, or those of some checks."""

    effect: Literal["zero", "half", "void"] = "zero"
    voids: tuple[Slug, ...] = ()  # the checks that count as red while it is broken, for effect void
    sticky: bool = False  # once broken it stays broken, until the level is reset


class Hint(Spec, frozen=True, kw_only=True):
    cost: Annotated[int, Meta(ge=0, le=100, description="percent of the level's points")]
    text: Text


class Solution(Spec, frozen=True, kw_only=True):
    """Shell lines that solve the level; `level prove` runs them with the real kubectl, players see them afterwards."""

    name: Slug
    run: Annotated[tuple[str, ...], Meta(min_length=1)]
    title: str = ""
    settle: Duration | None = None  # the most it may take after the last line; par when empty


class Cheat(Spec, frozen=True, kw_only=True):
    """Shell lines that must not count as a solution, and the guards or checks that say so."""

    name: Slug
    run: Annotated[tuple[str, ...], Meta(min_length=1)]
    caught_by: Annotated[tuple[Slug, ...], Meta(min_length=1)]
    title: str = ""


class Settle(Spec, frozen=True, kw_only=True):
    """The start is settled when every pod is ready or done, save those that `allow` names (pod name prefixes)."""

    timeout: Duration = lasting(60)
    allow: tuple[str, ...] = ()
    quiet: Duration = lasting(0.5)  # and stay so for so long
    until: StateSpec | None = None  # and, if given, this must hold


class ResourceSelector(Spec, frozen=True, kw_only=True):
    selector: str = ""
    name: str = ""
    namespace: str = ""


class NodeSwitch(Spec, frozen=True, kw_only=True):
    """A machine loses its power or gets it back (`fail`, `recover`), or its kubelet alone stops or starts (`pause`,
    `resume`). Which nodes: all that have these labels and, if given, run such a pod."""

    action: Literal["fail", "recover", "pause", "resume"]
    selector: Annotated[str, Meta(min_length=1)] = "!node-role.kubernetes.io/control-plane"
    running: ResourceSelector | None = None


class Stage(Spec, frozen=True, kw_only=True):
    """One step of setting a level up: apply these manifests (files or folders), delete these objects, switch nodes,
    settle."""

    apply: tuple[str, ...] = ()
    delete: tuple[Ref, ...] = ()
    nodes: tuple[NodeSwitch, ...] = ()
    settle: Settle = field(default_factory=Settle)


class TimelineEvent(Spec, frozen=True, kw_only=True):
    """Something that happens by itself at a time of the attempt."""

    at: Duration
    apply: tuple[str, ...] = ()
    delete: tuple[Ref, ...] = ()
    nodes: tuple[NodeSwitch, ...] = ()
    message: str = ""

    @property
    def stage(self) -> Stage:
        """What is done then."""
        return Stage(apply=self.apply, delete=self.delete, nodes=self.nodes)


class BaseImage(Spec, frozen=True, kw_only=True):
    """An image that the level builds on: its tag, and the digest by which it is pulled where it is not there yet."""

    name: Name
    digest: Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]


class ImageBuild(Spec, frozen=True, kw_only=True):
    """An image that is there at the start, built from a folder of the workspace."""

    name: Name
    folder: str = "."


class Published(Spec, frozen=True, kw_only=True):
    """A container's port, and the port of this machine where it is reached: on loopback only."""

    port: Annotated[int, Meta(ge=1, le=65535)]
    host: int | str  # text only where a variable is still to be filled in

    def __post_init__(self) -> None:
        if not isinstance(self.host, int) or not 1024 <= self.host <= 65535:
            raise ValueError(f"a port of the host is a number from 1024 to 65535, not {self.host!r}")


class ContainerStart(Spec, frozen=True, kw_only=True):
    """A container that runs at the start. It can have neither privileges nor anything of the host."""

    name: Name
    image: Name
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    publish: tuple[Published, ...] = ()


class DockerSetup(Spec, frozen=True, kw_only=True):
    """What a level has on the player's Docker engine. Only what is called by one of `names` (repositories of images,
    containers, volumes, networks) is the attempt's, and removed with it; where such a name is taken, it does not
    start."""

    names: Annotated[tuple[Name, ...], Meta(min_length=1)]
    bases: Annotated[tuple[BaseImage, ...], Meta(min_length=1)]
    builds: tuple[ImageBuild, ...] = ()
    containers: tuple[ContainerStart, ...] = ()

    def __post_init__(self) -> None:
        for name in self.names:
            if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
                raise ValueError(f"{name!r} cannot name images and containers: lower case letters, digits and dashes")


class Setup(Spec, frozen=True, kw_only=True):
    manifests: tuple[str, ...] = ()  # short for one stage
    settle: Settle = field(default_factory=Settle)
    stages: tuple[Stage, ...] = ()
    events: tuple[TimelineEvent, ...] = ()
    files: dict[str, str] = {}  # of the player's workspace, by their path in it
    docker: DockerSetup | None = None

    def __post_init__(self) -> None:
        for path in self.files:
            if not FILE_PATH.fullmatch(path):
                raise ValueError(f"{path!r} is no path within the workspace")
            if any(part.upper() == "HEAD" or (part[0] == "." and part not in PLAIN_DOTS) for part in path.split("/")):
                raise ValueError(f"{path!r} is a name that programs look for by themselves")

    def all_stages(self) -> tuple[Stage, ...]:
        first = (Stage(apply=self.manifests, settle=self.settle),) if self.manifests else ()
        return first + self.stages


class Meddling(Spec, frozen=True, kw_only=True):
    """A command in one container, and the one that undoes it."""

    from_: Place = field(name="from")
    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    undo: tuple[str, ...] = ()


class Drill(Spec, frozen=True, kw_only=True):
    """What is done once all is green. Then `until` or `data`, if given, must come true `within` so long, what `exec`
    did is undone, and all must be green again within `settle`."""

    name: Slug
    title: Text
    delete_pod: ResourceSelector | None = None
    restart: Ref | None = None
    apply: tuple[str, ...] = ()
    nodes: tuple[NodeSwitch, ...] = ()
    exec_: Meddling | None = field(name="exec", default=None)
    until: StateSpec | None = None
    data: DataSpec | None = None
    within: Duration = lasting(30)
    settle: Duration = lasting(60)


class Right(Spec, frozen=True, kw_only=True):
    """What the task needs beyond the level's own namespaces. On a shared cluster the player may do just that; what it
    lets him change is put back afterwards."""

    verbs: Annotated[tuple[Name, ...], Meta(min_length=1)]
    resources: Annotated[tuple[Name, ...], Meta(min_length=1)]  # nodes, pods/eviction, deployments.apps/scale
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()  # the whole cluster when empty

    def __str__(self) -> str:
        """As one would type it: get,list pods -n kube-system"""
        places = ("-n", ",".join(self.namespaces)) if self.namespaces else ()
        return " ".join(filter(None, (",".join(self.verbs), ",".join(self.resources), ",".join(self.names), *places)))


class ExamDomain(Spec, frozen=True, kw_only=True):
    exam: Exam
    domain: Name


class Reference(Spec, frozen=True, kw_only=True):
    title: Text
    url: Name


class CoachStep(Spec, frozen=True, kw_only=True):
    """One thing that a guided level says beside the screen, until a check is green or the time has passed."""

    text: Text
    until: Slug = ""
    seconds: Annotated[int, Meta(ge=1, le=600)] = 15


class LevelSpec(Spec, frozen=True, kw_only=True):
    """`spec` of a level.yaml."""

    title: Title
    story: Text
    task: Text
    difficulty: Annotated[int, Meta(ge=1, le=5)]
    par_time: Duration
    time_limit: Duration
    namespace: Name  # where the player's context starts, and the default of every query
    setup: Setup
    checks: Annotated[tuple[Check, ...], Meta(min_length=1, max_length=20)]
    solutions: Annotated[tuple[Solution, ...], Meta(min_length=1)]
    exams: tuple[ExamDomain, ...] = ()
    needs: tuple[Need, ...] = ()
    rights: tuple[Right, ...] = ()
    variables: dict[str, tuple[Value, ...]] = {}
    guards: tuple[Guard, ...] = ()
    protected: tuple[Ref, ...] = ()  # must not be deleted, recreated, scaled to zero or left paused
    allow: tuple[str, ...] = ()  # names of global guards that this level does without
    after: tuple[Drill, ...] = ()
    hints: tuple[Hint, ...] = ()
    cheats: tuple[Cheat, ...] = ()
    coach: tuple[CoachStep, ...] = ()  # for a guided level: said one after the other while it is played
    references: tuple[Reference, ...] = ()

    @property
    def switches_nodes(self) -> bool:
        """Whether machines fail or come back at some time."""
        timeline = (*self.setup.all_stages(), *(event.stage for event in self.setup.events))
        return any(stage.nodes for stage in timeline) or any(drill.nodes for drill in self.after)


class Level(LevelSpec, frozen=True, kw_only=True):
    """A level for one seed."""

    name: Slug
    labels: dict[str, str] = {}
    seed: int = 0
    values: dict[str, Any] = {}  # what the seed picked for each variable
    debrief: str = ""  # Markdown, shown afterwards
    folder: str = ""  # where its manifests are
    digest: str = ""  # names the exact content of the folder

    @property
    def track(self) -> str:
        return self.labels.get("kuartui.dev/track", "")

    @property
    def chapter(self) -> str:
        return self.labels.get("kuartui.dev/chapter", "")

    @property
    def points(self) -> int:
        return POINTS[self.difficulty]

    @property
    def total_weight(self) -> int:
        return sum(check.weight for check in self.checks)

    def check(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)


class LevelCard(Struct, frozen=True, kw_only=True):
    """What a list of levels shows, without opening the level."""

    name: str
    title: str
    track: str
    chapter: str
    difficulty: int
    points: int
    par_time: Duration
    time_limit: Duration
    needs: tuple[str, ...]
    exams: tuple[ExamDomain, ...]
    checks: int
    hints: int
