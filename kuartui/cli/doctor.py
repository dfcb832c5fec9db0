"""`kuartui doctor`: what is installed, what works, and the one command that mends each problem."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import typer

from kuartui.cli import output
from kuartui.cli.output import Format, Output
from kuartui.cli.run import command, wait

ENOUGH_DISK = 200 * 1024 * 1024  # bytes; a cluster with a day's play in it takes some ten MiB


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok` None: works, but something is worth knowing."""

    what: str
    ok: bool | None
    found: str
    fix: str = ""


def add_to(app: typer.Typer) -> None:
    """Register the command on the root."""

    @command(app, "doctor")
    def doctor(out: Output = Format.text) -> None:
        """Say what is installed, what works, and how to mend what does not."""
        findings = [finding for look in LOOKS for finding in look()]
        if out is Format.json:
            output.data([asdict(finding) for finding in findings])
        else:
            size = max(len(finding.what) for finding in findings)
            for finding in findings:
                output.line(f"{output.mark(finding.ok)} {finding.what:<{size}}  {finding.found}")
                if finding.fix:
                    output.line(f"  {'':<{size}}  → {finding.fix}")
        if any(finding.ok is False for finding in findings):
            raise typer.Exit(1)


def look_at_python() -> Iterator[Finding]:
    version = platform.python_version()
    fine = sys.version_info >= (3, 11)
    yield Finding("python", fine, version, "" if fine else "install Python 3.11 or newer")


def look_at_kubectl() -> Iterator[Finding]:
    from kuartui.cluster import kubectl
    from kuartui.errors import MissingError

    try:
        tool = kubectl.find()
    except MissingError as error:
        yield Finding("kubectl", False, error.message, error.hint)
        return
    found = f"{tool.version or 'unknown version'} from {tool.path} ({tool.source})"
    skew = f"supported is v1.{kubectl.SERVER_MINOR} give or take {kubectl.SKEW}: {kubectl.INSTALL}"
    yield Finding("kubectl", True if tool.supported else None, found, "" if tool.supported else skew)


def look_at_directories() -> Iterator[Finding]:
    from kuartui import paths
    from kuartui.errors import StorageError

    for what, place in (("data", paths.data_dir()), ("state", paths.state_dir())):
        try:
            paths.private_dir(place)
            paths.write_private(place / ".probe", b"").unlink()
        except StorageError as error:
            yield Finding(f"{what} directory", False, error.message, error.hint)
            continue
        free = shutil.disk_usage(place).free
        low = f"only {free // 2**20} MiB are free: make room"
        yield Finding(
            f"{what} directory", True if free > ENOUGH_DISK else None, str(place), "" if free > ENOUGH_DISK else low
        )


def look_at_terminal() -> Iterator[Finding]:
    term = os.environ.get("TERM", "")
    size = shutil.get_terminal_size()
    if not sys.stdout.isatty():
        yield Finding(
            "terminal", None, "standard output is no terminal", "the screens need one; `kuartui level …` does not"
        )
    elif term in ("", "dumb"):
        yield Finding("terminal", None, f"TERM={term}", "the screens need a real terminal; `kuartui level …` does not")
    else:
        room = size.columns >= 60 and size.lines >= 20
        fix = "" if room else "make it at least 60x20; 80x24 is comfortable"
        yield Finding("terminal", True if room else None, f"{term}, {size.columns}x{size.lines}", fix)
    shell = os.environ.get("SHELL", "")
    there = bool(shell) and Path(shell).exists()
    yield Finding(
        "shell", True if there else None, shell or "SHELL is not set", "" if there else "set SHELL; /bin/sh is used"
    )


def look_at_cluster() -> Iterator[Finding]:
    from kuartui.cli.cluster import DEFAULT, choose
    from kuartui.cluster.embedded import OTHER_CODE, EmbeddedHost, release
    from kuartui.errors import KuartuiError

    try:
        status = wait(choose("embedded", DEFAULT).status)
    except KuartuiError as error:
        yield Finding("embedded cluster", False, error.message, error.hint)
        return
    fine = {"ready": True, "absent": True, "stopped": True}.get(status.phase, False)
    words = {"absent": "not started; it starts when needed", "stopped": "stopped; it starts when needed"}
    found = words.get(status.phase) or f"{status.phase} {status.detail}".strip()
    process = EmbeddedHost().running()
    if process is not None and process.release != release():
        yield Finding("embedded cluster", None, OTHER_CODE.partition(";")[0], "kuartui cluster down --all")
        return
    yield Finding("embedded cluster", fine, found, "" if fine else "kuartui cluster reset")


def look_at_engines() -> Iterator[Finding]:
    """Docker and Podman: nobody needs them to play, kind and minikube do."""
    from kuartui.cluster import tool
    from kuartui.cluster.engine import INSTALL
    from kuartui.errors import KuartuiError

    installed = [program for program in INSTALL if shutil.which(program)]
    for program, ask in (("docker", "{{.ServerVersion}}"), ("podman", "{{.Version.Version}}")):
        if program not in installed:
            spare = bool(installed)  # one engine is enough
            fix = "" if spare else INSTALL[program]
            yield Finding(program, None, "not installed; --cluster embedded needs none", fix)
            continue
        command = [program, "info", "--format", ask]
        try:
            version = wait(partial(tool.run, command, what=f"asking {program}", timeout=15))
        except KuartuiError as error:
            yield Finding(program, None, error.message, error.hint or f"{program} info")
            continue
        yield Finding(program, True, version.strip() or "works")


def look_at_docker_levels() -> Iterator[Finding]:
    """What levels on Docker, and bundles of images, go through: the SDK and an engine on this machine."""
    from kuartui.containers.engine import Docker, ready
    from kuartui.errors import KuartuiError

    docker = Docker()

    async def look() -> str:
        await ready(docker)
        return await docker.version()

    try:
        version = wait(look)
    except KuartuiError as error:
        yield Finding("levels on Docker", None, f"{error.message}; other levels need none", error.hint)
        return
    finally:
        docker.close()
    yield Finding("levels on Docker", True, f"engine {version} at {docker.address}")


def look_at_tools() -> Iterator[Finding]:
    """kind and minikube, whether their versions will do, and how the clusters are that kuartui made with them."""
    from kuartui.cluster import kind, minikube
    from kuartui.cluster.local import version_of
    from kuartui.cluster.versions import KIND, MINIKUBE, dotted
    from kuartui.errors import KuartuiError

    for bounds, arguments, install in (
        (KIND, ["version", "--quiet"], kind.INSTALL),
        (MINIKUBE, ["version", "--short"], minikube.INSTALL),
    ):
        program = bounds.program
        if shutil.which(program) is None:
            yield Finding(program, None, f"not installed; only --cluster {program} needs it", install)
            continue
        try:
            version = wait(partial(version_of, program, arguments, install))
            bounds.need(version)
        except KuartuiError as error:
            yield Finding(program, False, error.message, error.hint or install)
            continue
        newer = (
            f"; newer than {dotted(bounds.tested)}, which kuartui was held against" if bounds.untested(version) else ""
        )
        yield Finding(program, None if newer else True, (version or "works") + newer)
        yield from _made_with(program)


def _made_with(program: str) -> Iterator[Finding]:
    """kuartui's cluster of that kind, and whether kubectl may speak to it."""
    from kuartui.cli.cluster import DEFAULT, choose
    from kuartui.cluster import kubectl
    from kuartui.cluster.versions import dotted, minor
    from kuartui.errors import KuartuiError

    what = f"{program} cluster"
    try:
        status = wait(choose(program, DEFAULT).status)
    except KuartuiError as error:
        yield Finding(what, False, error.message, error.hint or f"kuartui cluster reset --cluster {program}")
        return
    if status.phase == "absent":
        yield Finding(what, True, "not there; made when it is asked for")
    elif status.phase == "stopped":
        yield Finding(what, None, status.detail, f"kuartui cluster up --cluster {program}")
    elif status.phase != "ready":
        yield Finding(what, False, status.detail or status.phase, f"kuartui cluster reset --cluster {program}")
    else:
        found = f"ready: Kubernetes {status.version}, {status.nodes} node{'s'[: status.nodes != 1]}"
        server, client = minor(status.version), next(iter(kubectl.candidates()), None)
        if server and client and client.minor >= 0 and abs(server[1] - client.minor) > kubectl.SKEW:
            skew = f"{found}; kubectl {client.version} is more than {kubectl.SKEW} minor version away from it"
            fix = (
                f"export {kubectl.VARIABLE}=/path/to/kubectl-{dotted(server)}: https://kubernetes.io/docs/tasks/tools/"
            )
            yield Finding(what, None, skew, fix)
        else:
            yield Finding(what, True, found)


def look_at_leftovers() -> Iterator[Finding]:
    """Attempts that ended without being cleaned up, on clusters that are not thrown away with them."""
    from kuartui.errors import KuartuiError
    from kuartui.progress.store import Store

    try:
        store = Store()
        try:
            places = {record.cluster for record in store.leftovers() if record.cluster != "embedded"}
        finally:
            store.close()
    except KuartuiError as error:
        yield Finding("progress", False, error.message, error.hint)
        return
    for place in sorted(places):
        fix = f"kuartui cluster reset --cluster {place}"
        yield Finding("leftovers", None, f"an attempt on {place} was not cleaned up", fix)


LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    look_at_python,
    look_at_kubectl,
    look_at_directories,
    look_at_terminal,
    look_at_cluster,
    look_at_engines,
    look_at_docker_levels,
    look_at_tools,
    look_at_leftovers,
)
