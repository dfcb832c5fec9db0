"""From YAML documents to typed values: msgspec decodes by the types of `kuartui.game`, and its complaints are turned
into ones that name file, line and field and guess what was meant."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from kuartui.catalog.yamlfile import Document, FieldPath, Step, parse, path_text, read_text
from kuartui.errors import LevelError, did_you_mean
from kuartui.game import level as level_types
from kuartui.game import spec as spec_types
from kuartui.game import translation as translation_types
from kuartui.game.duration import Duration
from kuartui.message import Message, later

API_VERSION = "kuartui.dev/v1alpha1"


def open_document(file: Path, kind: str) -> tuple[Document, str]:
    """The only document of a file, which must be of this kind, and the name that its metadata give it."""
    return document_of(read_text(file), str(file), kind)


def document_of(text: str, file: str, kind: str) -> tuple[Document, str]:
    """The same for a text; `file` is for messages."""
    documents = parse(text, file)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise LevelError(later("expected one document of kind {kind}", kind=kind), file=file, line=1)
    return documents[0], _envelope(documents[0], kind)


def _envelope(document: Document, kind: str) -> str:
    """Check what is around the spec; the name."""

    def fail(problem: str, *path: Step) -> LevelError:
        return LevelError(problem, file=document.file, line=document.line(path), field=path_text(path))

    value = document.value
    if value.get("apiVersion") != API_VERSION:
        raise fail(
            later("expected {api_version}, got {found!r}", api_version=API_VERSION, found=value.get("apiVersion")),
            "apiVersion",
        )
    if value.get("kind") != kind:
        raise fail(later("expected {kind}, got {found!r}", kind=kind, found=value.get("kind")), "kind")
    for key in value:
        if key not in ("apiVersion", "kind", "metadata", "spec"):
            raise fail(
                later("unknown field{guess}", guess=did_you_mean(key, ("apiVersion", "kind", "metadata", "spec"))), key
            )
    for key in ("metadata", "spec"):
        if not isinstance(value.get(key), dict):
            raise fail(later("missing or not a mapping"), key)
    for key in value["metadata"]:
        if key not in ("name", "labels", "annotations"):
            raise fail(
                later("unknown field{guess}", guess=did_you_mean(key, ("name", "labels", "annotations"))),
                "metadata",
                key,
            )
    labels = value["metadata"].get("labels") or {}
    if not isinstance(labels, dict) or not all(isinstance(item, str) for item in labels.values()):
        raise fail(later("labels must be text; put numbers in quotes"), "metadata", "labels")
    name = value["metadata"].get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
        raise fail(later("a name is lower case letters, digits and dashes"), "metadata", "name")
    return name


def decode_spec(document: Document, type_: type[msgspec.Struct]) -> tuple[dict[str, Any], list[LevelError]]:
    """The fields of `spec`, decoded one by one, and lists and mappings item by item, so that one mistake does not hide
    the next; and what is wrong."""
    spec = document.value["spec"]
    known = {item.encode_name: item for item in msgspec.structs.fields(type_)}
    found: dict[str, Any] = {}
    problems: list[LevelError] = []
    for key in spec:
        if key not in known:
            path: FieldPath = ("spec", key)
            problem = later("unknown field{guess}", guess=did_you_mean(key, known))
            problems.append(LevelError(problem, file=document.file, line=document.line(path), field=path_text(path)))
    for key, item in known.items():
        if key not in spec:
            if item.required:
                problems.append(
                    LevelError(
                        later("missing field {key!r}", key=key),
                        file=document.file,
                        line=document.line(("spec",)),
                        field="spec",
                    )
                )
            continue
        parts = list(_decode_field(spec[key], item.type, ("spec", key), document))
        problems += [part for part in parts if isinstance(part, LevelError)]
        found[item.name] = parts[-1]
    return found, problems


def _decode_field(value: Any, type_: Any, path: FieldPath, document: Document) -> Iterator[Any]:
    """Errors, if there are any; then the value (or the last error)."""
    item_type = _item_type(type_)
    items = _items(value) if item_type is not None else []
    failed = False
    for step, item in items:
        try:
            convert(item, item_type)
        except msgspec.ValidationError as error:
            failed = True
            yield complaint(str(error), document, (*path, step))
    if failed:
        return
    try:
        yield convert(value, type_)
    except msgspec.ValidationError as error:
        yield complaint(str(error), document, path)


def _items(value: Any) -> Iterable[tuple[Step, Any]]:
    if isinstance(value, list):
        return enumerate(value)
    return value.items() if isinstance(value, Mapping) else ()


def _item_type(type_: Any) -> Any:
    """Of what a list or a mapping is; None for anything else."""
    inner = getattr(type_, "__origin__", None)
    if inner not in (tuple, dict) and hasattr(type_, "__metadata__"):  # Annotated[tuple[X, ...], Meta(…)]
        return _item_type(type_.__origin__)
    if inner is dict:
        return type_.__args__[1]
    return type_.__args__[0] if inner is tuple and len(type_.__args__) == 2 else None


def convert(value: Any, type_: Any) -> Any:
    """msgspec.convert, with our own scalar types."""
    return msgspec.convert(value, type_, dec_hook=_special)


def _special(type_: type, value: Any) -> Any:
    if type_ is Duration:
        return Duration.parse(value)
    raise NotImplementedError(type_)


#: msgspec's words that say little to people who write YAML
WORDS = {
    "expected array, got str": later("expected a list, as in [this, that]"),
    "expected array, got object": later("expected a list: [this, that], or lines that begin with a dash"),
    "expected str, got object": later("expected text; put a text with ': ' in it in quotes"),
    "expected object, got str": later("expected fields, as in {name: value}"),
    "expected str, got int": later("expected text; put the number in quotes"),
    "expected int, got str": later("expected a number, as in 3"),
}
#: what texts of a certain form look like
FORMS = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": later("expected lower case letters, digits and dashes, as in shop-window"),
    r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$": later("expected three numbers, as in 1.2.0"),
    "^sha256:[0-9a-f]{64}$": later("expected a digest: sha256: and 64 digits"),
    "^/": later("expected a path that begins with /"),
}
#: bounds of numbers and of lengths
BOUNDS = {
    ("int", ">="): later("expected a number, {bound} or more"),
    ("int", "<="): later("expected a number, {bound} or less"),
    ("str", ">="): later("expected a text of {bound} or more characters"),
    ("str", "<="): later("expected a text of {bound} or fewer characters"),
    ("array", ">="): later("expected a list of {bound} or more"),
}
WORD = re.compile(r"[\w.-]*")
_AT = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<key>key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")


def complaint(text: str, document: Document, base: FieldPath) -> LevelError:
    """msgspec's words, as ours: with the full path, the line, and a guess for a misspelt field."""
    match = _AT.match(text)
    problem, tail = (match["problem"], match["path"] or "") if match else (text, "")
    path: FieldPath = base
    for name, index in _STEP.findall(tail):
        if not name and not index:  # [...]: some key of a mapping, msgspec does not say which
            break
        path = (*path, name or int(index))
    unknown = re.match(r"Object contains unknown field `(.*)`", problem)
    missing = re.match(r"Object missing required field `(.*)`", problem)
    choice = re.match(r"Invalid enum value '(.*)'", problem)
    bound = re.match(r"Expected `(\w+)` (?:of length )?([<>]=) (\d+)", problem)
    form = re.match(r"Expected `str` matching regex (.*)", problem)
    if unknown and not WORD.fullmatch(unknown[1]):  # the rest of a text, from a comma in {braces} on
        problem = later("{text!r} is no field; put a text with a comma in it in quotes", text=unknown[1])
    elif unknown:
        path = (*path, unknown[1])
        problem = later("unknown field{guess}", guess=_meant(unknown[1], path))
    elif missing:
        problem = later("missing field {key!r}", key=missing[1])
    elif choice:
        problem = later("{value!r} is none of these: {names}", value=choice[1], names=", ".join(_choices(path)))
    elif bound and (words := BOUNDS.get((bound[1], bound[2]))):
        problem = Message(words.template, {"bound": bound[3]})
    elif form and (words := FORMS.get(ast.literal_eval(form[1]))):
        problem = words
    else:
        problem = (problem[:1].lower() + problem[1:]).replace("`", "")
        problem = WORDS.get(problem, problem)
    return LevelError(problem, file=document.file, line=document.line(path), field=path_text(path))


def _meant(name: str, path: FieldPath) -> Message | str:
    """Which field was meant by one that is not known there: one that is spelt like it, or one that it belongs into;
    else which fields there are."""
    below = _fields_below()
    here = next((below[step] for step in reversed(path[:-1]) if isinstance(step, str) and below.get(step)), {})
    guess = did_you_mean(name, here)
    if guess:
        return guess
    deeper = [field for field, structs in here.items() if any(name in _fields_of(struct) for struct in structs)]
    if deeper:
        fields = " / ".join(deeper)
        return later(
            "; it belongs into {fields}, as in {field}: {{{name}: …}}", fields=fields, field=deeper[0], name=name
        )
    return later("; there are: {names}", names=", ".join(here)) if here else ""


def _choices(path: FieldPath) -> list[str]:
    """The words that may stand in the field at the end of a path."""
    names = [step for step in path if isinstance(step, str)]
    structs = [struct for struct in _all_structs() if names[-1] in _fields_of(struct)]
    below = _fields_below().get(names[-2], {}) if len(names) > 1 else {}
    beside = [struct for struct in structs if below and _fields_of(struct).keys() <= below.keys()]
    types = [
        item.type
        for struct in beside or structs
        for item in msgspec.structs.fields(struct)
        if item.encode_name == names[-1]
    ]
    return list(dict.fromkeys(word for type_ in types for word in _words_in(type_)))


def _words_in(type_: Any) -> Iterator[str]:
    if get_origin(type_) is Literal:
        yield from get_args(type_)
        return
    for inner in get_args(type_):
        yield from _words_in(inner)


def _all_structs() -> Iterator[type[msgspec.Struct]]:
    for module in (level_types, spec_types, translation_types):
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, msgspec.Struct):
                yield item


@lru_cache(maxsize=1)
def _fields_below() -> dict[str, dict[str, tuple[type[msgspec.Struct], ...]]]:
    """By the name of a field: the fields of what may stand there, each with the structs that may stand in it."""
    found: dict[str, dict[str, tuple[type[msgspec.Struct], ...]]] = {}
    for struct in _all_structs():
        for name, structs in _fields_of(struct).items():
            below = found.setdefault(name, {})
            for inner in structs:
                below.update(_fields_of(inner))
    return found


def _fields_of(struct: type[msgspec.Struct]) -> dict[str, tuple[type[msgspec.Struct], ...]]:
    return {item.encode_name: tuple(_structs_in(item.type)) for item in msgspec.structs.fields(struct)}


def _structs_in(type_: Any) -> Iterator[type[msgspec.Struct]]:
    """The structs of an annotation: those of a union, of the items of a list, of the values of a mapping."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        yield type_
    for inner in get_args(type_):
        yield from _structs_in(inner)
