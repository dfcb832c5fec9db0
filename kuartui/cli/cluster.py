"""`kuartui cluster`: bring up, inspect and take down clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kuartui.cli import output
from kuartui.cli.output import Format, Output
from kuartui.cli.run import command, wait

if TYPE_CHECKING:
    from kuartui.cluster.base import Cluster, Progress

app = typer.Typer(help="Bring up, inspect and take down clusters.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--name", help="Which cluster; several may run side by side.")]
Kind = Annotated[str, typer.Option("--cluster", help="What kind of cluster.", envvar="KUARTUI_CLUSTER")]
DEFAULT = "kuartui"


def choose(kind: str, name: str = DEFAULT, nodes: int = 3, bare: bool = False) -> Cluster:
    from kuartui.cluster.select import choose

    return choose(kind, name, nodes=nodes, bare=bare)


def narrate(progress: Progress) -> None:
    """Progress of something slow, on standard error."""
    count = f"[{progress.step}/{progress.steps}] " if progress.steps else ""
    output.note(f"{count}{progress.text}")


@command(app, "up")
def up(
    name: Name = DEFAULT,
    nodes: Annotated[int, typer.Option(min=1, max=20, help="How many nodes.")] = 3,
    bare: Annotated[
        bool, typer.Option("--bare", help="One untainted node, no StorageClass, no metrics, no add-ons.")
    ] = False,
    kind: Kind = "embedded",
    out: Output = Format.text,
) -> None:
    """Start a cluster, or do nothing if it runs already."""
    cluster = choose(kind, name, 1 if bare else nodes, bare)
    wait(lambda: cluster.up(narrate))
    if out is Format.json:
        output.data({"name": name, "kubeconfig": str(cluster.kubeconfig)})
    else:
        output.line(f"cluster {name} is ready")
        output.note(f"hint: kuartui kubectl -- get nodes, or export KUBECONFIG={cluster.kubeconfig}")


@command(app, "down")
def down(
    name: Name = DEFAULT,
    kind: Kind = "embedded",
    everything: Annotated[
        bool, typer.Option("--all", help="End the process that hosts all embedded clusters.")
    ] = False,
) -> None:
    """Stop a cluster and remove it."""
    if everything:
        from kuartui.cluster.embedded import stop_all

        stop_all()
        output.line("all embedded clusters are stopped")
        return
    cluster = choose(kind, name)
    wait(lambda: cluster.down(narrate))
    output.line(f"cluster {name} is gone")


@command(app, "status")
def status(name: Name = DEFAULT, kind: Kind = "embedded", out: Output = Format.text) -> None:
    """Say how a cluster is; exit code 1 unless it is ready."""
    cluster = choose(kind, name)
    state = wait(cluster.status)
    if out is Format.json:
        output.data(
            {
                "name": name,
                "phase": state.phase,
                "detail": state.detail,
                "version": state.version,
                "nodes": state.nodes,
                "address": state.address,
                "kubeconfig": str(cluster.kubeconfig),
                "facts": state.facts,
            }
        )
    else:
        output.line(f"{name}: {state.phase}" + (f" ({state.detail})" if state.detail else ""))
        if state.phase == "ready":
            output.line(f"Kubernetes {state.version}, {state.nodes} node{'s'[: state.nodes != 1]}, {state.address}")
            for key, value in state.facts.items():
                output.line(f"{key}: {value}")
    if state.phase != "ready":
        raise typer.Exit(1)


@command(app, "reset")
def reset(name: Name = DEFAULT, kind: Kind = "embedded") -> None:
    """Make a cluster as new; what was in it is gone."""
    cluster = choose(kind, name)
    wait(lambda: cluster.reset(narrate))
    output.line(f"cluster {name} is as new")


@command(app, "kubeconfig")
def kubeconfig(
    name: Name = DEFAULT,
    kind: Kind = "embedded",
    path: Annotated[bool, typer.Option("--path", help="Print where the file is, not what is in it.")] = False,
) -> None:
    """Print a cluster's kubeconfig."""
    from kuartui.errors import ClusterError

    cluster = choose(kind, name)
    if not cluster.kubeconfig.is_file():
        raise ClusterError(f"cluster {name} is not up", hint=f"kuartui cluster up --name {name}")
    output.line(str(cluster.kubeconfig) if path else cluster.kubeconfig.read_text().rstrip())


@command(app, "serve")
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Loopback port of the management API; 0: any.")] = 0,
) -> None:
    """Run the process that hosts the embedded clusters in the foreground, until Ctrl-C."""
    from kuartui.cluster.embedded import serve_foreground

    raise typer.Exit(serve_foreground(port))
