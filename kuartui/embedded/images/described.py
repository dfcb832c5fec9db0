"""Images as data: what a level pack may bring of its own, and how it gets into the catalogue.

A document (kind Image or Registry, see `IMAGE_EXAMPLE`) says what the image is based on, which files it has, what runs
and, if a shell script is not enough, how a small HTTP server behaves. Nothing of it is code for this machine: scripts
run in the sandboxed shell. ConfigMaps labelled `kuartui.dev/images: "true"` carry such documents into a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml
from msgspec.structs import replace

from kuartui.embedded.images import reference
from kuartui.embedded.images.library.accounts import accounts
from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import directory, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import PATH, Image, ImageConfig, ImageFile
from kuartui.embedded.images.programs.scripted import Behaviour, DescriptionError, scripted
from kuartui.embedded.images.registry import IMAGES_LABEL, ImageCatalogue, PullError, Registry

MOST_FILES = 200
MOST_BYTES = 1 << 20
DEEPEST = 40
LONGEST_NUMBER = 40  # characters
NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-Fxo_:.]*")
UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "k": 10**3, "M": 10**6, "G": 10**9}

IMAGE_EXAMPLE = """
kind: Image
spec:
  repository: registry.kuartui.local:5000/private/teller
  tags: ["1", "2"]
  base: alpine                  # scratch, busybox, alpine, debian, or an image such as nginx:1.27-alpine
  files:
    /app/run.sh: {mode: "0755", text: "#!/bin/sh\\necho hello\\nexec /app/serve\\n"}
    /data: {directory: true, owner: "1000:1000"}
  entrypoint: [/app/run.sh]
  env: {MODE: demo}
  user: "1000"
  workingDir: /app
  ports: [8080]
  size: 20Mi                    # what a pull transfers
  program:                      # an executable that behaves as told
    path: /app/serve
    memory: 30Mi                # working set
    startAfter: 5s              # until then nothing listens
    log: [teller 1.0 starting]
    port: 8080
    routes:
      - {path: /healthz, body: ok}
      - {path: /pay, status: 200, body: "paid by $HOSTNAME", cpu: 20ms, delay: 100ms, failAfter: 100}
    needs: [{env: TOKEN}, {file: /etc/teller/key}]   # or it logs what is missing and exits with 1
    exit: {after: 1h, code: 1}
"""


def load(catalogue: ImageCatalogue, text: str) -> None:
    """Take documents (YAML or JSON, several if separated by ---) into a catalogue. Raises DescriptionError."""
    try:
        _check(text)
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise DescriptionError("", f"not YAML: {error}") from None
    for document in documents:
        if not isinstance(document, Mapping):
            raise DescriptionError("", "a document must be a mapping")
        kind, spec = document.get("kind"), _mapping(document.get("spec"), "spec")
        if kind == "Registry":
            users = _mapping(spec.get("accounts", {}), "spec.accounts")
            host = str(spec.get("host", ""))
            catalogue.add_registry(Registry(host, {str(k): str(v) for k, v in users.items()}))
        elif kind == "Image":
            for image in images(catalogue, spec):
                catalogue.add(image)
        else:
            raise DescriptionError("kind", f"must be Image or Registry, not {kind!r}")


def _check(text: str) -> None:
    """DescriptionError for YAML that grows when it is read: everybody on this cluster would wait for it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise DescriptionError("", "too deep")
        if isinstance(event, yaml.AliasEvent):
            raise DescriptionError("", f"aliases (*{event.anchor}) are not known here: write it out")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LONGEST_NUMBER and NUMBER.fullmatch(event.value):
            raise DescriptionError("", f"{event.value[:LONGEST_NUMBER]}… is no number")


def load_config_map(catalogue: ImageCatalogue, config_map: Mapping[str, Any]) -> list[str]:
    """Take a labelled ConfigMap's documents; complaints, one for each key that makes no sense."""
    labels = config_map.get("metadata", {}).get("labels") or {}
    complaints = []
    if labels.get(IMAGES_LABEL) == "true":
        for key, text in (config_map.get("data") or {}).items():
            try:
                load(catalogue, text)
            except DescriptionError as error:
                complaints.append(f"{key}: {error}")
            except (LookupError, TypeError, ValueError, AttributeError) as error:  # of another type than it must be
                complaints.append(f"{key}: makes no sense ({type(error).__name__}: {str(error)[:100]})")
    return complaints


def images(catalogue: ImageCatalogue, spec: Mapping[str, Any]) -> list[Image]:
    """The images that a spec describes, one for each tag. Raises DescriptionError."""
    try:
        name = reference.parse(str(spec.get("repository", "")))
    except reference.InvalidReference as error:
        raise DescriptionError("spec.repository", str(error)) from None
    tags = spec.get("tags") or ["latest"]
    if not isinstance(tags, list):
        raise DescriptionError("spec.tags", "must be a list")
    base = _base(catalogue, str(spec.get("base", "scratch")))
    files = {**base.files, **_files(_mapping(spec.get("files", {}), "spec.files"))}
    programs = dict(base.programs)
    memory = base.memory
    if "program" in spec:
        behaviour = Behaviour.read(_mapping(spec["program"], "spec.program"))
        programs[behaviour.path] = scripted(behaviour)
        memory = min(memory, 1 << 20)
    config = _config(base.config, spec)
    size = quantity(spec.get("size", base.size), "spec.size")
    return [
        replace(
            base,
            repository=name.repository,
            tag=str(tag),
            config=config,
            files=files,
            programs=programs,
            size=size,
            memory=memory,
        )
        for tag in tags
    ]


def _base(catalogue: ImageCatalogue, name: str) -> Image:
    if name == "scratch":
        return Image("scratch", "", ImageConfig(), {}, distribution="scratch", memory=1 << 20)
    if name in ("busybox", "alpine", "debian"):
        programs, direct, commands, shells = userland(name)
        trees = {
            "busybox": lambda: {**accounts("busybox"), "/tmp": directory(0o1777)},
            "alpine": base_files,
            "debian": debian_files,
        }
        return Image(
            name, "", ImageConfig(cmd=("sh",)), trees[name](), programs, direct, commands, shells, distribution=name
        )
    try:
        return catalogue.pull(name)
    except (PullError, reference.InvalidReference) as error:
        raise DescriptionError("spec.base", str(error)) from None


def _config(base: ImageConfig, spec: Mapping[str, Any]) -> ImageConfig:
    env = dict(base.env) or {"PATH": PATH}
    env.update({str(k): str(v) for k, v in _mapping(spec.get("env", {}), "spec.env").items()})
    replaced = "entrypoint" in spec
    return replace(
        base,
        entrypoint=_words(spec, "entrypoint", base.entrypoint),
        cmd=_words(spec, "cmd", () if replaced else base.cmd),
        env=tuple(env.items()),
        user=str(spec.get("user", base.user)),
        working_dir=str(spec.get("workingDir", base.working_dir)),
        ports=tuple(_port(port) for port in spec.get("ports", base.ports)),
        stop_signal=str(spec.get("stopSignal", base.stop_signal)),
    )


def _words(spec: Mapping[str, Any], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    words = spec.get(name, default)
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise DescriptionError(f"spec.{name}", "must be a list of strings")
    return tuple(words)


def _port(value: Any) -> int:
    if not isinstance(value, int) or not 0 < value < 65536:
        raise DescriptionError("spec.ports", f"{value!r} is no port")
    return value


def _files(entries: Mapping[str, Any]) -> dict[str, ImageFile]:
    if len(entries) > MOST_FILES:
        raise DescriptionError("spec.files", f"at most {MOST_FILES} files")
    found = {}
    for path, entry in entries.items():
        where = f"spec.files[{path}]"
        if not isinstance(path, str) or not path.startswith("/") or "//" in path or ".." in path.split("/"):
            raise DescriptionError(where, "must be an absolute path without ..")
        entry = {"text": entry} if isinstance(entry, str) else _mapping(entry, where)
        uid, _, gid = str(entry.get("owner", "0:0")).partition(":")
        if not uid.isdigit() or (gid and not gid.isdigit()):
            raise DescriptionError(f"{where}.owner", "must be numbers, uid:gid")
        is_directory = bool(entry.get("directory"))
        mode = str(entry.get("mode", "0755" if is_directory else "0644"))
        if not re.fullmatch(r"0?[0-7]{3,4}", mode):
            raise DescriptionError(f"{where}.mode", 'must be octal, such as "0755"')
        data = None if is_directory else str(entry.get("text", "")).encode()
        if data is not None and len(data) > MOST_BYTES:
            raise DescriptionError(where, f"at most {MOST_BYTES} bytes")
        found[path] = ImageFile(data, int(mode, 8), int(uid), int(gid or uid), str(entry.get("link", "")))
    return found


def quantity(value: Any, where: str) -> int:
    """`20Mi` in bytes."""
    found = re.fullmatch(r"(\d+)([A-Za-z]*)", str(value))
    if found is None or found[2] not in UNITS:
        raise DescriptionError(where, f"{value!r} is no size")
    return int(found[1]) * UNITS[found[2]]


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DescriptionError(where, "must be a mapping")
    return value
