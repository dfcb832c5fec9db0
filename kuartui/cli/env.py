"""`kuartui shell`, `env` and `kubectl`: the player's tools, pointed at the cluster in play."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import click

from kuartui.cli import output
from kuartui.cli.cluster import DEFAULT, Name
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import Argument, Option
from kuartui.cli.run import command
from kuartui.translate import tr

WORKSPACE = "KUARTUI_WORKSPACE"
Where = Annotated[str, Option("--cluster", help="embedded, kind, minikube or context:NAME.")]


def add_to(app: click.Group) -> None:
    """Register the commands on the root."""

    @command(app, "shell")
    def shell(name: Name = "", where: Where = "") -> None:
        """Open your shell with KUBECONFIG and kubectl set for the attempt in play (or a cluster)."""
        from kuartui.play.own_shell import own_shell

        program = own_shell()
        environment = {**os.environ, **variables(name, where)}
        output.note(tr("KUBECONFIG={path}; leave with exit", path=environment["KUBECONFIG"]))
        if WORKSPACE in environment and Path(environment[WORKSPACE]).is_dir():
            os.chdir(environment[WORKSPACE])
        os.execvpe(program, [program], environment)  # noqa: S606  the player's own shell

    @command(app, "env")
    def env(name: Name = "", where: Where = "", out: Output = Format.text) -> None:
        """Print the variables to set in a terminal of your own: eval "$(kuartui env)"."""
        values = variables(name, where)
        if out is Format.json:
            output.data(values)
            return
        for key, value in values.items():
            output.line(f"export {key}={shlex.quote(value)}", exactly=True)

    @command(app, "kubectl", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
    def kubectl(
        arguments: Annotated[list[str] | None, Argument(help="Arguments for kubectl, after --.")] = None,
        name: Name = "",
        where: Where = "",
    ) -> None:
        """Run kubectl on the attempt in play (or a cluster): kuartui kubectl -- get pods."""
        from kuartui.cluster import kubectl as tools

        program = str(tools.find().path)
        environment = {**os.environ, **variables(name, where)}
        os.execve(program, ["kubectl", *(arguments or [])], environment)  # noqa: S606


def variables(name: str, where: str) -> dict[str, str]:
    """KUBECONFIG, PATH with the kubectl to use first, and KUARTUI_WORKSPACE, the folder of the attempt in play. `name`
    and `where` name a cluster; without both: the attempt in play, if any."""
    from kuartui.cli.bar import narrate
    from kuartui.cluster import kubectl as tools
    from kuartui.cluster.host import wake

    program = tools.find().path
    path = os.environ.get("PATH", "")
    first = str(program.parent)
    if tools.first_on_path() != program:
        path = f"{first}{os.pathsep}{path}"
    found = kubeconfig(name, where)
    wake(found, narrate)
    if name or where or found != attempt_kubeconfig():
        return {"KUBECONFIG": str(found), "PATH": path}
    from kuartui.play.afterwards import kubeconfigs

    place = attempt_workspace()
    return {"KUBECONFIG": kubeconfigs(found), "PATH": path, **({WORKSPACE: str(place)} if place else {})}


def kubeconfig(name: str, where: str) -> Path:
    """The kubeconfig meant by `name` and `where`. Raises what `kubeconfig_of` does."""
    from kuartui.cli.cluster import kubeconfig_of

    if not name and not where:
        playing = attempt_kubeconfig()
        if playing:
            return playing
    return kubeconfig_of(where or os.environ.get("KUARTUI_CLUSTER") or "embedded", name or DEFAULT)


def attempt_workspace() -> Path | None:
    """The folder of the attempt in play, where there is one."""
    from kuartui.cli.attempt import current_record
    from kuartui.play import workspace

    record = current_record()
    place = workspace.folder(record.id) if record else None
    return place if place and place.is_dir() else None


def attempt_kubeconfig() -> Path | None:
    """The player's kubeconfig of the attempt in play."""
    from kuartui.cli.attempt import current_record

    record = current_record()
    return Path(record.kubeconfig) if record and record.kubeconfig else None
