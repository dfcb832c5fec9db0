"""An existing cluster that the player names by its context: `--cluster context:NAME`, never whichever is current."""

from __future__ import annotations

from kuartui.cluster import kubeconfigs
from kuartui.cluster.access import Access
from kuartui.cluster.base import Kind, Report, silent
from kuartui.cluster.clock import Clock
from kuartui.cluster.shared import SharedCluster
from kuartui.errors import UsageError
from kuartui.message import later


class ContextCluster(SharedCluster):
    """`context` is a name in the player's kubeconfig; nothing is written there."""

    kind: Kind = "context"

    def __init__(self, context: str, *, clock: Clock | None = None) -> None:
        super().__init__(context, clock=clock)
        self._named: kubeconfigs.Named | None = None

    @property
    def ref(self) -> str:
        return f"context:{self.name}"

    def named(self) -> kubeconfigs.Named:
        """The context, wherever it leads. UnknownName when there is none."""
        if self._named is None:
            self._named = kubeconfigs.find(self.name)
        return self._named

    def access(self) -> Access:
        """UsageError when it leads to a machine elsewhere and the player has not confirmed that."""
        named = self.named()
        if not kubeconfigs.allowed(named):
            raise UsageError(
                later(
                    "context {name} leads to {server}, which is not on this machine",
                    name=self.name,
                    server=named.access.server,
                ),
                hint=later(
                    "if you mean it: kuartui cluster up --cluster context:{name} --allow-remote", name=self.name
                ),
            )
        if named.access.server.startswith("http://"):  # whatever token is sent, the proxy shows its own credentials
            raise UsageError(
                later("context {name} leads through a proxy, behind which all are the same", name=self.name),
                hint=later("kuartui acts as two accounts there: name a context that leads to the API server itself"),
            )
        kubeconfigs.remember(named)
        return named.access

    async def down(self, report: Report = silent) -> None:
        """Remove what is ours; the cluster stays, and has to be confirmed anew if it is a remote one."""
        await super().down(report)
        kubeconfigs.forget(self.name)
