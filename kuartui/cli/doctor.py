"""`kuartui doctor`: what is installed, what works, and the one command that mends each problem."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from kuartui.cli import output
from kuartui.cli.output import Format, Output
from kuartui.cli.run import command, wait
from kuartui.message import Message, later
from kuartui.paths import refused
from kuartui.prose import cells, padded
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.cluster.base import ClusterStatus

ENOUGH_DISK = 200 * 1024 * 1024  # bytes; a cluster with a day's play in it takes some ten MiB


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok` None: works, but something is worth knowing. The texts are `later` ones, or names and commands."""

    what: str
    ok: bool | None
    found: str
    fix: str = ""


def add_to(app: click.Group) -> None:
    """Register the command on the root."""

    @command(app, "doctor")
    def doctor(out: Output = Format.text) -> None:
        """Say what is installed, what works, and how to mend what does not."""
        findings = [finding for look in LOOKS for finding in looked(look)]
        if out is Format.json:
            output.data([asdict(finding) for finding in findings])
        else:
            width = max(cells(tr(finding.what)) for finding in findings)
            for finding in findings:
                output.line(f"{output.mark(finding.ok)} {padded(tr(finding.what), width)}  {tr(finding.found)}")
                if finding.fix:
                    output.line(f"  {padded('', width)}  → {tr(finding.fix)}")
        if any(finding.ok is False for finding in findings):
            raise click.exceptions.Exit(1)


def looked(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What one look found. Where the machine refuses it a file, that is what was found."""
    found: list[Finding] = []
    try:
        found += look()
    except OSError as error:
        if (refusal := refused(error)) is None:
            raise
        found.append(Finding(later("files"), False, refusal.message, refusal.hint))
    return found


def look_at_python() -> Iterator[Finding]:
    version = platform.python_version()
    fine = sys.version_info >= (3, 11)
    yield Finding("python", fine, version, "" if fine else later("install Python 3.11 or newer"))


def look_at_kubectl() -> Iterator[Finding]:
    from kuartui.cluster import kubectl
    from kuartui.errors import MissingError

    try:
        tool = kubectl.find()
    except MissingError as error:
        yield Finding("kubectl", False, error.message, error.hint)
        return
    found = later(
        "{version} from {path} ({source})",
        version=tool.version or later("unknown version"),
        path=tool.path,
        source=tool.source,
    )
    skew = later(
        "supported is v1.{minor} give or take {skew}: {install}",
        minor=kubectl.SERVER_MINOR,
        skew=kubectl.SKEW,
        install=kubectl.INSTALL,
    )
    yield Finding("kubectl", True if tool.supported else None, found, "" if tool.supported else skew)


def look_at_directories() -> Iterator[Finding]:
    from kuartui import paths
    from kuartui.errors import StorageError

    for what, place in ((later("data directory"), paths.data_dir()), (later("state directory"), paths.state_dir())):
        try:
            paths.private_dir(place)
            paths.write_private(place / ".probe", b"").unlink()
        except StorageError as error:
            yield Finding(what, False, error.message, error.hint)
            continue
        free = shutil.disk_usage(place).free
        low = later("only {n} MiB are free: make room", n=free // 2**20)
        yield Finding(what, True if free > ENOUGH_DISK else None, str(place), "" if free > ENOUGH_DISK else low)


def look_at_terminal() -> Iterator[Finding]:
    from kuartui.play.own_shell import own_shell

    term = os.environ.get("TERM", "")
    size = shutil.get_terminal_size()
    if not sys.stdout.isatty():
        yield Finding(
            later("terminal"),
            None,
            later("standard output is no terminal"),
            later("the screens need one; `kuartui level …` does not"),
        )
    elif term in ("", "dumb"):
        fix = later("the screens need a real terminal; `kuartui level …` does not")
        yield Finding(later("terminal"), None, f"TERM={term}", fix)
    else:
        room = size.columns >= 60 and size.lines >= 20
        small = "" if room else later("make it at least 60x20; 80x24 is comfortable")
        yield Finding(later("terminal"), True if room else None, f"{term}, {size.columns}x{size.lines}", small)
    shell = os.environ.get("SHELL", "")
    there = bool(shutil.which(shell))
    unset = "" if there else later("set SHELL; {shell} is used", shell=own_shell())
    yield Finding(later("shell"), True if there else None, shell or later("SHELL is not set"), unset)


def look_at_cluster() -> Iterator[Finding]:
    from kuartui.cli.cluster import DEFAULT, choose
    from kuartui.cluster.host import OTHER_CODE, EmbeddedHost, release
    from kuartui.errors import KuartuiError

    try:
        status = wait(choose("embedded", DEFAULT).status)
    except KuartuiError as error:
        yield Finding(later("embedded cluster"), False, error.message, error.hint)
        return
    fine = {"ready": True, "absent": True, "stopped": True}.get(status.phase, False)
    words = {
        "absent": later("not started; it starts when needed"),
        "stopped": later("stopped; it starts when needed"),
    }
    found = words.get(status.phase) or _phase(status)
    process = EmbeddedHost().running()
    mend = "kuartui cluster down --all" if process is None else "kuartui cluster reset"
    if process is not None and process.release != release():
        yield Finding(later("embedded cluster"), None, OTHER_CODE, "kuartui cluster down --all")
        return
    yield Finding(later("embedded cluster"), fine, found, "" if fine else mend)


def look_at_engines() -> Iterator[Finding]:
    """Docker and Podman: nobody needs them to play, kind and minikube do."""
    from kuartui.cluster import tool
    from kuartui.cluster.engine import INSTALL
    from kuartui.errors import KuartuiError

    installed = [program for program in INSTALL if shutil.which(program)]
    # an old `docker info` without an engine tells of its template only
    asked = {"docker": ["version", "--format={{.Server.Version}}"], "podman": ["info", "--format={{.Version.Version}}"]}
    for program, arguments in asked.items():
        if program not in installed:
            spare = bool(installed)  # one engine is enough
            fix = "" if spare else INSTALL[program]
            yield Finding(program, None, later("not installed; --cluster embedded needs none"), fix)
            continue
        what = later("asking {program}", program=program)
        try:
            version = wait(partial(tool.run, [program, *arguments], what=what, timeout=15))
        except KuartuiError as error:
            yield Finding(program, None, error.message, error.hint or f"{program} info")
            continue
        yield Finding(program, True, version.strip() or later("works"))


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
        found = later("{why}; other levels need none", why=error.message)
        yield Finding(later("levels on Docker"), None, found, error.hint)
        return
    finally:
        docker.close()
    yield Finding(
        later("levels on Docker"),
        True,
        later("engine {version} at {address}", version=version, address=docker.address),
    )


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
            yield Finding(
                program, None, later("not installed; only --cluster {program} needs it", program=program), install
            )
            continue
        try:
            version = wait(partial(version_of, program, arguments, install))
            bounds.need(version)
        except KuartuiError as error:
            yield Finding(program, False, error.message, error.hint or install)
            continue
        found = version or later("works")
        newer = bounds.untested(version)
        if newer:
            found = later(
                "{version}; newer than {tested}, which kuartui was held against",
                version=version,
                tested=dotted(bounds.tested),
            )
        yield Finding(program, None if newer else True, found)
        yield from _made_with(program)


def _phase(status: ClusterStatus) -> str:
    """What is wrong with a cluster, or else the word for how it is."""
    return status.detail or Message(status.phase, {})


def _made_with(program: str) -> Iterator[Finding]:
    """kuartui's cluster of that kind, and whether kubectl may speak to it."""
    from kuartui.cli.cluster import DEFAULT, choose
    from kuartui.cluster import kubectl
    from kuartui.cluster.versions import dotted, minor
    from kuartui.errors import KuartuiError

    what = later("{program} cluster", program=program)
    try:
        status = wait(choose(program, DEFAULT).status)
    except KuartuiError as error:
        yield Finding(what, False, error.message, error.hint or f"kuartui cluster reset --cluster {program}")
        return
    if status.phase == "absent":
        yield Finding(what, True, later("not there; made when it is asked for"))
    elif status.phase == "stopped":
        yield Finding(what, None, status.detail, f"kuartui cluster up --cluster {program}")
    elif status.phase != "ready":
        yield Finding(what, False, _phase(status), f"kuartui cluster reset --cluster {program}")
    else:
        found = later("ready: Kubernetes {version}, nodes: {n}", version=status.version, n=status.nodes)
        server, client = minor(status.version), next(iter(kubectl.candidates()), None)
        if server and client and client.minor >= 0 and abs(server[1] - client.minor) > kubectl.SKEW:
            skew = later(
                "{found}; kubectl {version} is more than {skew} minor version away from it",
                found=found,
                version=client.version,
                skew=kubectl.SKEW,
            )
            place = f"/path/to/kubectl-{dotted(server)}"
            yield Finding(
                what, None, skew, f"export {kubectl.VARIABLE}={place}: https://kubernetes.io/docs/tasks/tools/"
            )
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
        yield Finding(later("progress"), False, error.message, error.hint)
        return
    for place in sorted(places):
        fix = f"kuartui cluster reset --cluster {place}"
        found = later("an attempt on {place} was not cleaned up", place=place)
        yield Finding(later("leftovers"), None, found, fix)


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
