"""The controllers of a cluster: kube-controller-manager in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kuartui.embedded.auth.pki import KeyPair
    from kuartui.embedded.client import Client
    from kuartui.embedded.controllers.base import Controller
    from kuartui.embedded.metrics.usage import UsageSource
    from kuartui.embedded.store import Store


def add_indexes(store: Store) -> None:
    """Have the store keep the indexes that controllers and the scheduler read; once per store."""
    from kuartui.embedded.controllers import indexes

    indexes.add_indexes(store)


def controllers(client: Client, authority: KeyPair, usage: UsageSource | None) -> list[Controller]:
    """All controllers, each with a `run` to be made a task of. `authority` is the cluster's CA.

    Without `usage` the cluster has no metrics API."""
    from kuartui.embedded.controllers import registry

    return registry.controllers(client, authority, usage)
