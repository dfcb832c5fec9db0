"""What runs in a cluster beside its API: controllers, scheduler, nodes, and the ways between them and the API."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kuartui.embedded import control_plane
from kuartui.embedded.admission import plugins
from kuartui.embedded.admission.base import Plugin
from kuartui.embedded.api.aggregation import Aggregator
from kuartui.embedded.api.component_statuses import ComponentStatuses
from kuartui.embedded.api.http import Receive, Scope, Send, answered, decoded
from kuartui.embedded.api.request import Request, Response, json_response, parse_query
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.subresources import Subresources
from kuartui.embedded.auth.pki import KeyPair, client_certificate
from kuartui.embedded.auth.secret_tokens import SecretTokens
from kuartui.embedded.bootstrap import API_ADDRESS, API_PORT
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.indexes import add_indexes
from kuartui.embedded.controllers.registry import controllers
from kuartui.embedded.crd.apiservices import ApiServices
from kuartui.embedded.crd.conversion import WebhookConverter
from kuartui.embedded.crd.registrar import Registrar
from kuartui.embedded.crd.remote_apiservices import RemoteApiServices
from kuartui.embedded.identity import context
from kuartui.embedded.images.library import catalogue
from kuartui.embedded.images.registry import IMAGES_LABEL, Finder
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.metrics import endpoint as metrics
from kuartui.embedded.metrics.api import MetricsApi
from kuartui.embedded.metrics.usage import Usage
from kuartui.embedded.network import http as network_http
from kuartui.embedded.network.edge import GatewayEdge
from kuartui.embedded.network.tls import refuse_plainly, tls_handler
from kuartui.embedded.node.fleet import SWITCHES, Fleet
from kuartui.embedded.node.machine import Machine
from kuartui.embedded.node.probes.http import RequestError, Target, get
from kuartui.embedded.node.volumes.disks import Disks
from kuartui.embedded.rounds import rounds
from kuartui.embedded.scheduler.scheduler import NAME as DEFAULT_PROFILE
from kuartui.embedded.scheduler.scheduler import Scheduler
from kuartui.embedded.store import Event, EventType
from kuartui.embedded.webhooks import WebhookCaller

if TYPE_CHECKING:
    from kuartui.embedded.cluster import Cluster

Obj = dict[str, Any]

log = logging.getLogger(__name__)

ZONES = ("eu-1a", "eu-1b", "eu-1c")
PRELOADED = ("registry.k8s.io/pause:3.10.1", "registry.k8s.io/coredns/coredns:v1.13.1", "busybox:1.36")
CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
EXPIRE_SECONDS = 300.0
RENEW_SECONDS = 10.0  # of kube-apiserver's lease; the leaders' are good for 15 seconds
CONTROL_PLANE_SECONDS = 1.0  # after a start, until the control plane shows as pods
DISCOVERY_SECONDS = 5.0  # for an aggregated API server to answer


class Parts:
    """Everything of one cluster that is not the API itself."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.catalogue = catalogue(self._component_images)
        self.edge = GatewayEdge(cluster.network)
        disks = Disks(cluster.state / "volumes" if cluster.spec.durable else None)
        self.fleet = Fleet(
            cluster.client,
            cluster.network,
            self.catalogue,
            Tokens(cluster),
            machines(cluster.spec.name, cluster.spec.nodes, bare=cluster.spec.bare),
            disks,
            PRELOADED,
        )
        self._tasks: list[asyncio.Task[Any]] = []
        self._components: dict[str, list[asyncio.Task[Any]]] = {}
        """What kube-scheduler and kube-controller-manager do, while they run."""
        self._schedulers: dict[str, asyncio.Task[Any]] = {}
        """By profile: what other processes of kube-scheduler do than place the default profile's pods."""
        self._processes: Counter[tuple[str, str]] = Counter()
        """How many processes there are by component and profile; the work of those that a cluster comes with begins
        before the first, and all of it ends with the last."""
        self._leases: dict[str, asyncio.Lock] = {}
        self._revision = 0
        """What the store was at when old things were last forgotten."""
        self.subresources = Subresources(cluster, self.fleet)
        self._aggregator = Aggregator(cluster.store, cluster.network, API_ADDRESS, self._front_proxy)
        cluster.dispatcher.aggregate = self._aggregator.forward
        cluster.rest.converter = WebhookConverter(WebhookCaller(cluster.store, cluster.clock, cluster.network))
        self._statuses = ComponentStatuses(cluster.clock, lambda: self._components)
        self._metrics = metrics.MetricsEndpoint(MetricsApi(cluster.client, Usage(self.fleet, cluster.clock)))

    def _front_proxy(self) -> KeyPair:
        """What the API server shows to aggregated ones."""
        return client_certificate(self.cluster.identity.front_proxy, "front-proxy-client", ())

    def admission(self) -> Sequence[Plugin]:
        """The plugins, in kube-apiserver's order."""
        return plugins(self.cluster)

    # Life

    async def start(self) -> None:
        """Bring up nodes first, so that there is somewhere to run, then what makes pods."""
        self._join_network()
        self.cluster.client.listen("configmaps", self._publish)
        if not self.cluster.spec.bare:
            metrics.add_endpoints(self.cluster.resources)
        add_indexes(self.cluster.store)
        for controller in self._server_controllers():
            self._tasks.append(asyncio.create_task(controller.run(), name=controller.name))
        for component in control_plane.LEADERS:
            self._run_component(component)
        await self.fleet.start()
        if self.cluster.spec.kubeadm:
            self._tasks.append(asyncio.create_task(self._show_control_plane()))
        clock, self._revision = self.cluster.clock, self.cluster.store.revision
        self._tasks.append(asyncio.create_task(rounds(clock, EXPIRE_SECONDS, self._expire)))
        self._tasks.append(asyncio.create_task(rounds(clock, RENEW_SECONDS, self._renew_leases)))
        for node in self.fleet.kubelets:
            for action in SWITCHES:
                self.cluster.dispatcher.paths[f"/kuartui.dev/nodes/{node}/{action}"] = partial(
                    self._switch, node, action
                )

    def _publish(self, event: Event) -> None:
        """Levels bring images of their own in labelled ConfigMaps."""
        if (event.obj.data["metadata"].get("labels") or {}).get(
            IMAGES_LABEL
        ) != "true" or event.type is EventType.DELETED:
            return
        from kuartui.embedded.images.described import load_config_map  # with YAML, which nothing else here reads

        for complaint in load_config_map(self.catalogue, event.obj.data):
            log.warning("images of configmap %s: %s", event.obj.key.name, complaint)

    async def _switch(self, node: str, action: str, request: Request) -> Response:
        """POST /kuartui.dev/nodes/NODE/ACTION: have a machine or its kubelet fail and come back."""
        if request.method != "POST":
            raise StatusError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
            )
        await self.fleet.switch(node, action)
        return json_response({"node": node, "action": action})

    def _run_component(self, name: str) -> None:
        """Begin the work of kube-scheduler or kube-controller-manager."""
        cluster = self.cluster
        if name == control_plane.SCHEDULER:
            work: list[Scheduler | Controller] = [Scheduler(cluster.client)]
        else:
            usage = None if cluster.spec.bare else self.fleet  # a bare cluster has no metrics API
            work = [*controllers(cluster.client, cluster.identity.authority, usage)]
        self._components[name] = [asyncio.create_task(one.run(), name=one.name) for one in work]

    def _switch_component(self, name: str, profile: str, on: bool) -> None:
        """A process of the control plane began or ended: what it stands for does the same."""
        if name not in control_plane.LEADERS:
            return
        self._processes[name, profile] += 1 if on else -1
        first, last = on and self._processes[name, profile] == 1, self._processes[name, profile] == 0
        if profile not in ("", DEFAULT_PROFILE):
            if first:
                work = Scheduler(self.cluster.client, profile)
                self._schedulers[profile] = asyncio.create_task(work.run(), name=profile)
            elif last and profile in self._schedulers:
                self._schedulers.pop(profile).cancel()
        elif self.cluster.spec.kubeadm:
            if on and name not in self._components:
                self._run_component(name)
            elif last:
                for task in self._components.pop(name, ()):
                    task.cancel()

    def _component_images(self, repository: str) -> Finder | None:
        if repository not in control_plane.IMAGES:
            return None
        from kuartui.embedded import kubeadm

        return kubeadm.finder(repository, self._switch_component, self._leases)

    async def _show_control_plane(self) -> None:
        """Set up the pods of the control plane, once the cluster serves: nobody has to wait for them."""
        cluster = self.cluster
        await cluster.clock.sleep(CONTROL_PLANE_SECONDS)
        from kuartui.embedded import kubeadm  # a start need not load it

        first = next(iter(self.fleet.kubelets.values()))
        endpoint = f"{API_ADDRESS}:{API_PORT}"
        kubeadm.set_up(first, cluster.identity.authority, endpoint)
        first.static_pods.start()
        await kubeadm.install_proxy(cluster.client, endpoint)

    def _server_controllers(self) -> list[Controller]:
        cluster = self.cluster
        return [
            SecretTokens(cluster.client, cluster.signer, cluster.identity.authority.certificate),
            Registrar(cluster.client, cluster.resources, cluster.index),
            ApiServices(cluster.client),
            RemoteApiServices(cluster.client, cluster.resources, self._ask_api_server, self._aggregator.resources),
        ]

    async def _ask_api_server(self, address: str, port: int, path: str) -> str:
        """GET what an aggregated API server must answer; what went wrong, "" if nothing did."""
        target = Target("https", address, port, path)
        try:
            answer = await get(self.cluster.network, self.cluster.clock, API_ADDRESS, target, DISCOVERY_SECONDS)
        except RequestError as error:
            return f'Get "{target.url}": {error}'
        return "" if 200 <= answer.status < 300 else f"bad status from {target.url}: {answer.status}"

    async def stop(self) -> None:
        components = (task for tasks in self._components.values() for task in tasks)
        tasks = [*self._tasks, *self._schedulers.values(), *components]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._components.clear()
        self._schedulers.clear()
        await self.fleet.stop()

    async def _expire(self) -> None:
        """Forget what is old: events, and after five minutes how things were, as kube-apiserver has etcd do."""
        self.cluster.client.expire_events()
        self.cluster.store.compact(self._revision)
        self._revision = self.cluster.store.revision

    async def _renew_leases(self) -> None:
        control_plane.renew(self.cluster.client, self.cluster.spec.name, list(self._components))

    # Ways in

    async def answer(self, request: Request, endpoint: Endpoint) -> Response | None:
        """Subresources, metrics and component statuses: what is no plain reading and writing."""
        if endpoint.resource.group == metrics.GROUP:
            return self._metrics.answer(request)
        if endpoint.resource.name == "componentstatuses":
            return self._statuses.answer(request, endpoint)
        return await self.subresources.answer(request, endpoint)

    async def connect(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket: exec, attach, port-forward."""
        await self.subresources.connect(request, scope, receive, send)

    # The API server on the cluster's own network

    def _join_network(self) -> None:
        """Pods reach the API at its Service, as https://kubernetes.default.svc."""
        cluster = self.cluster
        cluster.network.add_node("", API_ADDRESS)
        handler = network_http.server(self._from_inside, scheme="https")
        handler = tls_handler(context(cluster.identity.server), handler, plain_http=refuse_plainly)
        cluster.network.listen(API_ADDRESS, API_PORT, handler)

    async def _from_inside(self, asked: network_http.Request) -> network_http.Response:
        path, _, raw_query = asked.target.partition("?")
        headers = {name.lower(): value for name, value in asked.headers}
        request = Request(asked.method, decoded(path), parse_query(raw_query), headers, asked.body, raw_query)
        response = await answered(request, self.cluster.dispatcher.handle)
        found = network_http.Headers([("Content-Type", response.content_type), *response.headers])
        return network_http.Response(response.status, found, response.stream or response.body)


class Tokens:
    """Signs the tokens that kubelets mount into pods."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def token(self, pod: Obj, audiences: list[str], seconds: int) -> str:
        """Raises LookupError if the pod's service account is gone."""
        cluster = self._cluster
        metadata = pod["metadata"]
        name = pod["spec"].get("serviceAccountName", "default")
        account = cluster.store.get("serviceaccounts", metadata["namespace"], name)
        if account is None:
            raise LookupError(f'serviceaccounts "{name}" not found')
        bound = {"kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        node = cluster.store.get("nodes", "", pod["spec"].get("nodeName", ""))
        host = {"name": node.key.name, "uid": node.uid} if node else None
        return cluster.signer.sign(account.data, cluster.clock.now(), seconds, audiences, bound, host)


def machines(cluster: str, count: int, *, bare: bool) -> list[Machine]:
    """The machines of a new cluster: a tainted control plane and workers; one plain node when bare or alone."""
    found = []
    for index in range(count):
        first = index == 0
        alone = bare or count == 1
        name = f"{cluster}-control-plane" if first else f"{cluster}-worker{'' if index == 1 else index}"
        found.append(
            Machine(
                name=name,
                ip=f"172.18.0.{index + 3}",
                pod_cidr=f"10.244.{index}.0/24",
                control_plane=first,
                zone="" if bare else ZONES[index % len(ZONES)],
                taints=() if alone or not first else (CONTROL_PLANE_TAINT,),
            )
        )
    return found
