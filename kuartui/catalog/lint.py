"""`level lint`: what is legal but not good. A level is content that people learn from, so it is looked at like code.

Errors are what spoils a level or makes it unfair or unreliable; warnings are what an author may have reasons for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from kuartui import language
from kuartui.catalog import curriculum, debrief, hints, scaffold, translation
from kuartui.catalog.images import bases_of, described_by, images_of
from kuartui.catalog.manifests import SUFFIXES, files, load, load_documents
from kuartui.catalog.reader import DEBRIEF_FILE, LEVEL_FILE, LevelFolder
from kuartui.catalog.suppose import elsewhere, names_nothing, true_of_manifests, true_of_nothing
from kuartui.catalog.tracks import read_tracks
from kuartui.catalog.variables import Filler
from kuartui.catalog.yamlfile import Document, FieldPath, path_text, read_text
from kuartui.cluster.addons import manifest
from kuartui.cluster.pins import PLATFORMS, Image, one_platform, read_lock, unpinned
from kuartui.errors import LevelError
from kuartui.game.cel import CelError, compile_cel, matches
from kuartui.game.level import Level, Question, Ref
from kuartui.game.par import par_of
from kuartui.game.questions import expressions, patterns
from kuartui.game.spec import SameUidSpec, StateSpec, UnchangedSpec
from kuartui.message import Message, later, together

Severity = Literal["error", "warning"]

#: words that name causes; titles and tasks name symptoms and wishes
CAUSES = re.compile(
    r"\b(typo|misspel\w*|wrong|mismatch\w*|incorrect\w*|broken|invalid|missing|misconfigur\w*|bad)\b", re.IGNORECASE
)
COMMANDS = re.compile(r"\bkubectl\s+(set|patch|edit|scale|delete|create|apply|label|annotate|rollout|autoscale)\b")
COMMENT = re.compile(r"^\s*#|\s#\s")
PINNED = re.compile(r"(@sha256:[0-9a-f]{64}|:[\w.-]+)$")
INSIDE = re.compile(r"""\bkubectl\b[^|;&]*? -- (?:'[^']*'|"[^"]*"|[^|;&'"])*""")  # what runs in a container
DATA = re.compile(r"""(?:-p|--patch|--overrides)[= ]?(?:'[^']*'|"(?:[^"\\]|\\.)*")""")  # what an object is to say
IN_NAMESPACE = re.compile(r"\bkubectl\b[^|;&]*?\s(?:-n|--namespace)[ =]([a-z][a-z0-9-]*)")
DANGEROUS = re.compile(r"\b(sudo|curl|wget|ssh|docker(?![.])|rm\s+-rf\s+[/~])\b")
SEEDS = range(1, 12)
#: where every value is a text: fields of kinds, and those of all metadata
TEXTS = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}
LABELS = ("labels", "annotations")
LEAST_WORDS = 30  # of a debrief


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that lint found; `line` from 1, `text` a `later` one."""

    severity: Severity
    file: str
    line: int
    field: str
    text: str

    @property
    def message(self) -> Message:
        """Where, how bad and in which field it is, the same in every language, and what it is."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        parts = {"where": where, "severity": self.severity, "field": self.field, "text": self.text}
        return Message(": ".join(f"{{{name}}}" for name, part in parts.items() if part), dict(parts))

    def __str__(self) -> str:
        return str(self.message)


def lint(folder: Path) -> list[Complaint]:
    """Everything that is wrong or doubtful about a level folder."""
    try:
        level_folder = LevelFolder.open(folder)
    except LevelError as error:
        return [_from_error(error)]
    level, problems = level_folder.read()
    if level is None or problems:
        return [_from_error(error) for error in problems]
    found: list[Complaint] = []
    for seed in SEEDS:
        found += [_from_error(error) for error in level_folder.read(seed)[1]]
        if found:
            return found
    linter = _Linter(level, level_folder)
    return sorted(linter.complaints(), key=lambda item: (item.file, item.line, item.text))


def _from_error(error: LevelError) -> Complaint:
    return Complaint("error", error.file, error.line, error.field, error.problem)


class _Linter:
    def __init__(self, level: Level, folder: LevelFolder) -> None:
        self.level, self.folder = level, folder
        self.document = folder.document
        self.filler = Filler(level.values)

    def complaints(self) -> Iterator[Complaint]:
        yield from self._texts()
        yield from self._proofs()
        yield from self._places()
        yield from self._needs()
        yield from self._questions()
        yield from self._manifests()
        yield from self._pins()
        yield from self._variables()
        yield from self._files()
        yield from self._debriefs()
        yield from self._translations()

    def _complain(self, severity: Severity, text: str, *path: str | int) -> Complaint:
        full: FieldPath = ("spec", *path)
        return Complaint(severity, self.document.file, self.document.line(full), path_text(full), text)

    # --- texts -----------------------------------------------------------------------------------------------------

    def _texts(self) -> Iterator[Complaint]:
        level = self.level
        for name, text in (("title", level.title), ("story", level.story), ("task", level.task)):
            cause = CAUSES.search(text)
            if cause and name != "task":
                yield self._complain(
                    "error", later("{word!r} gives the cause away; say what is seen", word=cause.group(0)), name
                )
            if COMMANDS.search(text):
                yield self._complain("error", later("a command gives the solution away"), name)
        for index, check in enumerate(level.checks):
            if COMMANDS.search(check.title):
                yield self._complain("error", later("a command gives the solution away"), "checks", index, "title")
        track = self.folder.path.resolve().parent.name
        if level.track != track:
            where = later("says track {track!r}, but lies in {folder!r}", track=level.track, folder=track)
            yield Complaint("error", self.document.file, self.document.line(("metadata",)), "metadata.labels", where)
        for text, path in curriculum.problems(level):
            yield self._complain("error", text, *path)
        if not level.debrief:
            yield Complaint("error", str(self.folder.path / DEBRIEF_FILE), 0, "", later("there is no debrief"))
        if len(level.hints) < 3:
            yield self._complain(
                "warning", later("three hints are usual: where to look, what to see, what to do"), "hints"
            )
        if not level.coach:  # a guided level shows how the screen works, so it may say what to type
            names = level.setup.docker.names if level.setup.docker else ()
            for index, hint in enumerate(level.hints):
                for command in hints.doing(hint.text, names):
                    does = later("does the work ({command}): say where to look and what it means", command=command)
                    yield self._complain("warning", does, "hints", index, "text")
        costs = [hint.cost for hint in level.hints]
        if costs != sorted(costs):
            yield self._complain("warning", later("later hints tell more and should cost more"), "hints")
        if not level.references:
            yield self._complain("warning", later("no reference to the documentation"), "references")

    def _proofs(self) -> Iterator[Complaint]:
        level = self.level
        if sum(check.weight for check in level.checks) != 100:
            yield self._complain("error", later("weights add up to {sum}, not 100", sum=level.total_weight), "checks")
        if len(level.solutions) < 2:
            yield self._complain("warning", later("one solution: is there really no other way?"), "solutions")
        if len(level.cheats) < 2:
            yield self._complain("warning", later("fewer than two cheats: what would a lazy player try?"), "cheats")
        caught = {name for cheat in level.cheats for name in cheat.caught_by}
        for index, check in enumerate(level.checks):
            if check.name not in caught:
                yield self._complain(
                    "error", later("no cheat is caught by this check: is it needed?"), "checks", index, "name"
                )
        for index, guard in enumerate(level.guards):
            if guard.name not in caught:
                yield self._complain(
                    "warning", later("no cheat shows that this guard can break"), "guards", index, "name"
                )
        par = par_of(level)
        # with events, only a proof can tell what must be waited for
        if not par.fits(level.par_time) and not level.setup.events:
            text = later(
                "is {par}, but reading {reading:.0f} s, finding {finding:.0f} s,"
                " typing {typing:.0f} s and waiting {waiting:.0f} s come to {sum}",
                par=level.par_time,
                reading=par.reading,
                finding=par.finding,
                typing=par.typing,
                waiting=par.waiting,
                sum=par.rounded,
            )
            yield self._complain("warning", text, "parTime")
        runs = [("solutions", index, item.run) for index, item in enumerate(level.solutions)]
        runs += [("cheats", index, item.run) for index, item in enumerate(level.cheats)]
        for group, index, lines in runs:
            for line in lines:
                doubtful = DANGEROUS.search(INSIDE.sub("", DATA.sub("", line)))
                if doubtful and (doubtful[0] != "docker" or level.setup.docker is None):
                    yield self._complain(
                        "warning", later("does more than kubectl: is it portable?"), group, index, "run"
                    )

    def _places(self) -> Iterator[Complaint]:
        """On a shared cluster the player may look at the level's namespaces, and where `rights` let him."""
        level = self.level
        made = {
            obj["metadata"]["name"] for objects, _ in self._stages for obj in objects if obj.get("kind") == "Namespace"
        }
        known = {level.namespace, *made, *(place for right in level.rights for place in right.namespaces)}
        said: list[tuple[str, tuple[str | int, ...]]] = [
            (hint.text, ("hints", index, "text")) for index, hint in enumerate(level.hints)
        ]
        said += [(line, ("solutions", index, "run")) for index, item in enumerate(level.solutions) for line in item.run]
        for text, path in said:
            for name in dict.fromkeys(IN_NAMESPACE.findall(" ".join(text.split()))):
                if name in known:
                    continue
                words = later(
                    "leads to namespace {name}, where `rights` give the player none on a shared cluster", name=name
                )
                yield self._complain("warning", words, *path)

    def _needs(self) -> Iterator[Complaint]:
        """What a cluster must do, told by what the level asks and by what it makes."""
        level = self.level
        asked = [item for item in (*level.checks, *level.guards) if item.type in ("reach", "dns", "traffic")]
        if asked and "network" not in level.needs:
            text = later("{name} asks over the network, so it needs: [network]", name=asked[0].name)
            yield self._complain("warning", text, "needs")
        made = [obj for objects, _ in self._stages for obj in objects]
        if any(map(_claims, made)) and not {"storage", "local-path"} & {*level.needs}:
            yield self._complain("warning", later("the manifests claim volumes, so it needs: [storage]"), "needs")

    # --- questions ---------------------------------------------------------------------------------------------------

    def _questions(self) -> Iterator[Complaint]:
        for group, questions in (("checks", self.level.checks), ("guards", self.level.guards)):
            for index, question in enumerate(questions):
                yield from self._question(group, index, question)
        for index, ref in enumerate(self.level.protected):
            yield from self._nothing(ref, "protected", index)

    def _nothing(self, ref: Ref | UnchangedSpec | SameUidSpec, *path: str | int) -> Iterator[Complaint]:
        if names_nothing(self.level, ref.kind, ref.name, ref.namespace, self._stages):
            place = elsewhere(self.level, ref.kind, ref.name, self._stages)
            namespace = ref.namespace or self.level.namespace
            text: str = later(
                "the manifests make no {kind} {name!r} in {namespace}",
                kind=ref.kind,
                name=ref.name,
                namespace=namespace,
            )
            if place:
                advice = later("they make it in {place}: take its `namespace:` out, or name that one here", place=place)
                text = together([text, advice])
            yield self._complain("error", text, *path)

    def _question(self, group: str, index: int, question: Question) -> Iterator[Complaint]:
        for where, source, variables in expressions(question.spec):
            unused = [name for name in variables if not re.search(rf"\b{re.escape(name)}\b", _all_sources(question))]
            if unused and where != "observe" and question.type in ("state", "history", "data"):
                names = ", ".join(unused)
                yield self._complain(
                    "warning", later("{names} is read but not used", names=names), group, index, question.type
                )
            if where == "observe" or not _is_constant(source, variables):
                continue
            path = (group, index, question.type, where)
            yield self._complain("error", later("does not depend on what is read: it cannot change"), *path)
        spec = question.spec
        if hasattr(spec, "observe") and not spec.observe and group == "checks":
            yield self._complain(
                "warning", later("no observe: players should see what was seen"), group, index, question.type
            )
        if isinstance(spec, UnchangedSpec | SameUidSpec):
            yield from self._nothing(spec, group, index, question.type)
        for where, pattern in patterns(question):
            if matches(pattern, ""):
                yield self._complain(
                    "error", later("matches any text: it cannot change"), group, index, question.type, where
                )
        if group == "checks":
            yield from self._already_true(index, question)

    def _already_true(self, index: int, check: Question) -> Iterator[Complaint]:
        """What can be told without a cluster; `level prove` tells the rest."""
        path = ("checks", index, check.type)
        if check.type in ("unchanged", "sameUID", "history"):
            yield self._complain("error", later("holds from the start: make it a guard"), *path)
        if not isinstance(check.spec, StateSpec):
            return
        if true_of_manifests(self.level, check.spec, self._stages):
            yield self._complain("error", later("holds from the start: it is true of the manifests as they are"), *path)
        elif true_of_nothing(check.spec):
            yield self._complain("warning", later("true when nothing is there: is deleting it all a solution?"), *path)

    @cached_property
    def _stages(self) -> list[tuple[list[dict[str, Any]], tuple[Ref, ...]]]:
        """What setting up applies and deletes; nothing where the manifests cannot be read, which is told elsewhere."""
        try:
            return [
                (load(self.folder.path, stage.apply, self.level, self.filler), stage.delete)
                for stage in self.level.setup.all_stages()
            ]
        except LevelError:
            return []

    # --- manifests and files --------------------------------------------------------------------------------------

    def _manifests(self) -> Iterator[Complaint]:
        setup = self.level.setup
        names = [stage.apply for stage in setup.all_stages()]
        names += [event.apply for event in setup.events] + [drill.apply for drill in self.level.after]
        for group in names:
            try:
                loaded = load_documents(self.folder.path, group, self.filler)
            except LevelError as error:
                yield _from_error(error)
                continue
            for file in {document.file for document, _ in loaded}:
                yield from _comments(file)
            for document, obj in loaded:
                yield from _images(document, obj)
                yield from _numbers(document, obj)

    def _pins(self) -> Iterator[Complaint]:
        """Whether the list of images holds each image to a digest. Those that the level describes are its author's."""
        lock = _lock()
        try:
            own = described_by(self.level)
            images = [name for name in images_of(self.level) if name.rpartition(":")[0] not in own]
        except LevelError:  # told by `_manifests`
            return
        for image in unpinned([*images, *bases_of(self.level)], lock):
            text = later("{image} is not in manifests/images.yaml: what nodes get by that tag may change", image=image)
            if image in lock:
                text = later(
                    "{image} has no digest in manifests/images.yaml: what nodes get by that tag may change",
                    image=image,
                )
            yield self._complain("warning", text, "setup")
        for image in one_platform(images, lock):
            text = later(
                "{image} is not there for {platforms}, as far as manifests/images.yaml knows",
                image=image,
                platforms=", ".join(PLATFORMS),
            )
            yield self._complain("warning", text, "setup")
        for index, base in enumerate(self.level.setup.docker.bases if self.level.setup.docker else ()):
            if base.name in lock and lock[base.name].digest != base.digest:
                text = later("{image} has another digest than in manifests/images.yaml", image=base.name)
                yield self._complain("error", text, "setup", "docker", "bases", index, "digest")

    def _variables(self) -> Iterator[Complaint]:
        text = str(self.document.value["spec"]) + str(self.document.value["metadata"])
        text += "".join(
            file.read_text(errors="replace") for file in self.folder.path.rglob("*") if file.suffix in (".yaml", ".md")
        )
        for name, values in self.folder.variables.items():
            if not re.search(r"\{\{\s*" + re.escape(name) + r"\b", text):
                yield self._complain("error", later("this variable is used nowhere"), "variables", name)
            elif len(values) < 2:
                yield self._complain("warning", later("with one value nothing varies"), "variables", name)

    def _files(self) -> Iterator[Complaint]:
        known = {"level.yaml", "debrief.md"}
        setup = self.level.setup
        names = [name for stage in setup.all_stages() for name in stage.apply]
        names += [name for event in setup.events for name in event.apply]
        names += [name for drill in self.level.after for name in drill.apply]
        tops = known | {Path(name).parts[0] for name in names}
        for item in sorted(self.folder.path.iterdir()):
            if item.name not in tops and not translation.language_of(item.name) and not item.name.startswith("."):
                yield Complaint("warning", str(item), 0, "", later("nothing in {file} uses this", file=LEVEL_FILE))
        try:
            used = files(self.folder.path, names)
        except LevelError:  # told by `_manifests`
            return
        for item in sorted({other for file in used for other in file.parent.iterdir()} - set(used)):
            if item.suffix in SUFFIXES and item.parent != self.folder.path:
                yield Complaint("warning", str(item), 0, "", later("nothing in {file} uses this", file=LEVEL_FILE))

    # --- debriefs -----------------------------------------------------------------------------------------------------

    def _debriefs(self) -> Iterator[Complaint]:
        """Whether English and other debriefs have the parts that the pack orders."""
        level, folder = self.level, self.folder.path
        parts = read_tracks(folder.resolve().parent.parent).debrief
        if level.debrief and len(level.debrief.split()) < LEAST_WORDS and not parts and not level.coach:
            short = later("says next to nothing: what happened, how to see it fast, what to remember?")
            yield Complaint("warning", str(folder / DEBRIEF_FILE), 1, "", short)
        if scaffold.is_untouched(folder, DEBRIEF_FILE) and not scaffold.is_untouched(folder, LEVEL_FILE):
            other = later("still tells of the level that kuartui level new made: tell of yours")
            yield Complaint("warning", str(folder / DEBRIEF_FILE), 1, "", other)
        if not parts or not level.debrief or level.coach:
            return
        for line, text in debrief.problems(level.debrief, parts):
            yield Complaint("warning", str(folder / DEBRIEF_FILE), line, "", text)
        for tag in translation.languages(folder):
            file = translation.debrief_file(folder, tag)
            if file.exists():
                translated = translation.read(level, folder, tag)[0].debrief
                for line, text in debrief.translation_problems(translated, level.debrief, parts, tag):
                    yield Complaint("warning", str(file), line, "", text)

    # --- translations ------------------------------------------------------------------------------------------------

    def _translations(self) -> Iterator[Complaint]:
        """Whether each language that the pack has is there, and sound."""
        folder = self.folder.path.resolve()
        promised = read_tracks(folder.parent.parent).languages
        neighbours = {tag for other in folder.parent.parent.glob("*/*/") for tag in translation.languages(other)}
        for tag in sorted({*promised, *neighbours}):
            file = str(translation.texts_file(self.folder.path, tag))
            if language.tag(tag) != tag:
                yield Complaint("error", file, 0, "", later("{tag!r} is no language tag such as zh-CN", tag=tag))
                continue
            _, problems = translation.read(self.level, self.folder.path, tag)
            yield from map(_from_error, problems)
            absent = [] if problems else translation.missing(self.level, self.folder.path, tag)
            if absent:
                severity: Severity = "error" if tag in promised else "warning"
                names = absent[0] if len(absent) == 1 else ", ".join(absent)  # one may be a word to translate
                yield Complaint(severity, file, 0, "", later("not translated: {names}", names=names))


def _claims(obj: dict[str, Any]) -> bool:
    """Whether an object asks for a volume that somebody must provide."""
    return obj["kind"] == "PersistentVolumeClaim" or bool(obj.get("spec", {}).get("volumeClaimTemplates"))


@cache
def _lock() -> dict[str, Image]:
    """The list of images, which all levels of a run are held to."""
    return read_lock(manifest("images.yaml"))


def _all_sources(question: Question) -> str:
    return " ".join(source for _, source, _ in expressions(question.spec))


def _is_constant(source: str, variables: tuple[str, ...]) -> bool:
    """Whether it gives the same answer without its variables: then nothing that is seen can change it."""
    if any(re.search(rf"\b{re.escape(name)}\b", source) for name in variables):
        return False
    try:
        compile_cel(source, ()).evaluate({})
    except CelError:
        return False
    return True


def _comments(file: str) -> Iterator[Complaint]:
    in_block = False
    indent = 0
    for number, line in enumerate(read_text(Path(file)).splitlines(), 1):
        depth = len(line) - len(line.lstrip())
        if in_block and line.strip() and depth <= indent:
            in_block = False
        if not in_block and COMMENT.search(line):
            yield Complaint("error", file, number, "", later("a comment in a manifest may give something away"))
        if re.search(r"[|>][-+]?\s*$", line):
            in_block, indent = True, depth


def _numbers(document: Document, obj: dict[str, Any]) -> Iterator[Complaint]:
    """Numbers where Kubernetes takes nothing but a text: what a filled in `"{{port}}"` comes to."""
    for path, value in _texts(obj, TEXTS.get(str(obj.get("kind")), ())):
        if isinstance(value, int | float):
            text = later("must be a text, not {value}; of a variable it is with |string", value=json.dumps(value))
            yield Complaint("error", document.file, document.line(path), path_text(path), text)


def _texts(value: Any, maps: tuple[str, ...], path: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """What must be a text in an object of which `maps` are the fields that hold nothing else."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (), (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict) and (key in maps or (path[-1:] == ("metadata",) and key in LABELS)):
                yield from (((*path, key, name), text) for name, text in item.items())
            elif isinstance(item, list) and key == "env":
                entries = [(index, entry) for index, entry in enumerate(item) if isinstance(entry, dict)]
                yield from (((*path, key, index, "value"), entry.get("value")) for index, entry in entries)
            else:
                yield from _texts(item, (), (*path, key))


def _images(document: Document, value: Any, path: FieldPath = ()) -> Iterator[Complaint]:
    if isinstance(value, dict):
        image = value.get("image")
        if isinstance(image, str) and "name" in value:
            tag = image.rpartition("/")[2]
            if not PINNED.search(tag) or tag.endswith(":latest"):
                line = document.line((*path, "image"))
                yield Complaint(
                    "error",
                    document.file,
                    line,
                    path_text((*path, "image")),
                    later("{image} is not pinned: give it a tag, as in busybox:1.36", image=image),
                )
        for key, item in value.items():
            yield from _images(document, item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _images(document, item, (*path, index))
