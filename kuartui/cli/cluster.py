"""`kuartui cluster`: bring up, inspect and take down clusters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from kuartui.cli import output, together
from kuartui.cli.bar import steps
from kuartui.cli.output import Format, Output
from kuartui.cli.parameters import Option
from kuartui.cli.run import Noun, command, wait
from kuartui.errors import ClusterError
from kuartui.message import later
from kuartui.translate import tr, trn

if TYPE_CHECKING:
    from kuartui.cluster.base import Cluster
    from kuartui.cluster.select import Options

app = Noun(help="Bring up, inspect and take down clusters.")

Name = Annotated[str, Option("--name", help="Which cluster; several may run side by side.")]
Kind = Annotated[str, Option("--cluster", help="embedded, kind, minikube or context:NAME.", envvar="KUARTUI_CLUSTER")]
AllowRights = Annotated[
    bool, Option("--allow-rights", help="Let a level of others do to a context:NAME what its rights say.")
]
DEFAULT = "kuartui"
#: which kinds of cluster an option of `up` means something to
MEANT_FOR = {
    "nodes": ("embedded",),
    "bare": ("embedded",),
    "image": ("kind",),
    "kubernetes_version": ("kind", "minikube"),
    "provider": ("kind", "minikube"),
}
FACTS = {"pid": later("process"), "state": later("state directory"), "log": later("log"), "context": later("context")}


def choose(kind: str, name: str = DEFAULT, options: Options | None = None) -> Cluster:
    """The one that is meant. UsageError for a `--name` beside a context, which has its own."""
    from kuartui.cluster.select import CONTEXT, Options, choose

    if kind.startswith(CONTEXT) and "--name" in together.given("name"):
        raise together.refused("--name", f"--cluster {kind}", later("a context has a name of its own"))

    return choose(kind, name, options or Options())


def kubeconfig_of(kind: str, name: str) -> Path:
    """Where a cluster's kubeconfig is. ClusterError if it is not up, UsageError if it is in the player's own."""
    from kuartui.errors import UsageError

    cluster = choose(kind, name)
    if cluster.kind == "context":
        raise UsageError(
            later("context {name} is in your own kubeconfig", name=cluster.name),
            hint=f"kubectl --context {cluster.name}",
        )
    if not cluster.kubeconfig.is_file():
        raise ClusterError(
            later("cluster {name} is not up", name=name),
            hint=later("{up}, or kuartui level start LEVEL", up=f"kuartui cluster up{_chosen(kind, name)}"),
        )
    return cluster.kubeconfig


@command(app, "up")
def up(
    name: Name = DEFAULT,
    nodes: Annotated[int, Option(min=1, max=20, help="How many nodes (embedded).")] = 3,
    bare: Annotated[
        bool, Option("--bare", help="One untainted node, no StorageClass, no metrics, no add-ons (embedded).")
    ] = False,
    kind: Kind = "embedded",
    image: Annotated[str, Option(help="The node image (kind).")] = "",
    kubernetes_version: Annotated[str, Option(help="Which Kubernetes, as 1.36.2 (kind, minikube).")] = "",
    provider: Annotated[str, Option(help="docker or podman (kind); a driver (minikube).")] = "",
    allow_remote: Annotated[
        bool, Option("--allow-remote", help="Use a context that leads to another machine; asks for its name.")
    ] = False,
    out: Output = Format.text,
) -> None:
    """Start a cluster, or do nothing if it runs already. With context:NAME: look at it and say what it can do."""
    from kuartui.cluster.select import Options, check_kind

    check_kind(kind)
    _must_be_meant_for(kind)
    if bare and nodes != 1 and together.given("nodes"):
        raise together.refused("--bare", f"--nodes {nodes}", later("a bare cluster has one node"))
    if image and kubernetes_version:
        raise together.refused("--image", "--kubernetes-version", later("a node image has its Kubernetes in it"))
    options = Options(1 if bare else nodes, bare, image, kubernetes_version, provider)
    cluster = choose(kind, name, options)
    if allow_remote:
        confirm_remote(cluster)

    async def run() -> None:
        await _must_be_as_wanted(cluster, options)
        await cluster.up(report)

    with steps() as report:
        wait(run)
    if out is Format.json:
        can = sorted(cluster.capabilities)
        output.data({"name": cluster.name, "kubeconfig": str(cluster.kubeconfig), "capabilities": can})
        return
    output.line(tr("cluster {name} is ready", name=cluster.name))
    if cluster.kind == "embedded":
        output.hint(later("kuartui kubectl -- get nodes, or export KUBECONFIG={path}", path=cluster.kubeconfig))
    else:
        output.line(tr("it can do: {names}", names=", ".join(sorted(cluster.capabilities))))
        output.hint(f"kuartui level start LEVEL --cluster {cluster.ref}")


def _must_be_meant_for(kind: str) -> None:
    """UsageError for an option of `up` that means nothing to this kind of cluster."""
    for name, kinds in MEANT_FOR.items():
        for option in together.given(name) if kind not in kinds else []:
            hint = later("{option} is for --cluster {kinds}", option=option, kinds=", ".join(kinds))
            raise together.refused(option, f"--cluster {kind}", hint)


async def _must_be_as_wanted(cluster: Cluster, options: Options) -> None:
    """ClusterError for one that runs already, and has not what was asked for on the command line."""
    typed = together.given("nodes", "bare", "kubernetes_version")
    state = await cluster.status() if typed else None
    if state is None or state.phase != "ready":
        return
    if options.version and state.version.removeprefix("v") != options.version.removeprefix("v"):
        has = state.version
    elif cluster.kind == "embedded" and state.nodes != options.nodes:
        has = trn("{n} node", "{n} nodes", state.nodes)
    else:
        return
    down = f"kuartui cluster down{_chosen(cluster.kind, cluster.name)}"
    raise ClusterError(
        later("cluster {name} runs already, with {has}", name=cluster.name, has=has),
        hint=later("{down} removes it, with what is in it; or give another --name", down=down),
    )


def _chosen(kind: str, name: str) -> str:
    """The options that say which cluster is meant."""
    return f"{f' --name {name}' if name != DEFAULT else ''}{f' --cluster {kind}' if kind != 'embedded' else ''}"


def confirm_remote(cluster: Cluster) -> None:
    """Have the name typed again. UsageError when it is not."""
    from kuartui.cluster import kubeconfigs
    from kuartui.cluster.context import ContextCluster
    from kuartui.errors import UsageError

    if not isinstance(cluster, ContextCluster):
        raise UsageError(later("--allow-remote is for --cluster context:NAME"))
    named = cluster.named()
    if kubeconfigs.allowed(named):
        return
    output.note(
        tr(
            "context {name} leads to {server}: levels are set up, and broken, there",
            name=named.name,
            server=named.access.server,
        )
    )
    if (
        click.prompt(tr("Type the name of the context to go on"), err=True, default="", show_default=False)
        != named.name
    ):
        raise UsageError(later("that is not its name; nothing was done"))
    kubeconfigs.remember(named, confirmed=True)


@command(app, "down")
def down(
    name: Name = DEFAULT,
    kind: Kind = "embedded",
    everything: Annotated[bool, Option("--all", help="End the process that hosts all embedded clusters.")] = False,
) -> None:
    """Stop a cluster and remove it. With context:NAME: remove what kuartui made there, and nothing else."""
    if everything:
        elsewhere = [f"--cluster {kind}"] if kind != "embedded" and together.given("kind") else []
        for other in (*together.given("name"), *elsewhere):
            hint = later("--all ends all embedded clusters; without it, one cluster is removed")
            raise together.refused("--all", other, hint)
        from kuartui.cluster.host import stop_all

        stop_all()
        output.line(tr("all embedded clusters are stopped"))
        return
    cluster = choose(kind, name)
    with steps() as report:
        wait(lambda: cluster.down(report))
    if cluster.kind == "context":
        output.line(tr("what kuartui made on {name} is gone; the cluster stays", name=cluster.name))
    else:
        output.line(tr("cluster {name} is gone", name=name))


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
        output.line(f"{name}: {tr(state.phase)}" + (f" ({tr(state.detail)})" if state.detail else ""))
        if state.phase == "ready":
            output.line(f"Kubernetes {state.version}, {trn('{n} node', '{n} nodes', state.nodes)}, {state.address}")
            for key, value in state.facts.items():
                output.line(f"{tr(FACTS.get(key, key))}: {value}")
    if state.phase != "ready":
        raise click.exceptions.Exit(1)


@command(app, "reset")
def reset(name: Name = DEFAULT, kind: Kind = "embedded") -> None:
    """Make a cluster as new; what was in it is gone. With context:NAME: remove what kuartui made there."""
    cluster = choose(kind, name)

    async def renew() -> None:
        if cluster.kind == "context":  # what a killed proof changed there goes back first
            from kuartui.play.trail import sweep

            await sweep(cluster)
        await cluster.reset(report)

    with steps() as report:
        wait(renew)
    if cluster.kind == "context":
        output.line(tr("what kuartui made on {name} is gone", name=cluster.name))
        return
    output.line(tr("cluster {name} is as new", name=name))


@command(app, "kubeconfig")
def kubeconfig(
    name: Name = DEFAULT,
    kind: Kind = "embedded",
    path: Annotated[bool, Option("--path", help="Print where the file is, not what is in it.")] = False,
) -> None:
    """Print a cluster's kubeconfig."""
    found = kubeconfig_of(kind, name)
    output.line(str(found) if path else found.read_text().rstrip(), exactly=True)


@command(app, "serve")
def serve(
    port: Annotated[int, Option(min=0, max=65535, help="Loopback port of the management API; 0: any.")] = 0,
) -> None:
    """Run the process that hosts the embedded clusters in the foreground, until Ctrl-C."""
    from kuartui.cluster.host import serve_foreground

    raise click.exceptions.Exit(serve_foreground(port))
