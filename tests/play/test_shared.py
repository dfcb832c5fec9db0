"""A shared cluster is as it was after an attempt, whatever was made in between and wherever it was cut short.

The cluster is an embedded one on stepped time behind a plain kubeconfig: kuartui knows nothing of it but a context.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kuartui import paths
from kuartui.catalog.catalog import Catalog
from kuartui.cluster.context import ContextCluster
from kuartui.cluster.fence import covers
from kuartui.cluster.host import EmbeddedHost
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import MERGE_PATCH, Api
from kuartui.errors import ApiError, AttemptError, ElsewhereError
from kuartui.game.labels import LABEL_ATTEMPT
from kuartui.game.level import Level, Right
from kuartui.play import trail
from kuartui.play.arena import Arena
from kuartui.play.cleanup import cluster_of
from kuartui.play.leading import INVENTORY
from kuartui.play.proof import prove
from kuartui.play.proof_run import Run
from kuartui.play.report import text
from kuartui.play.takedown import take_down
from kuartui.progress.store import AttemptRecord, Store
from tests.play.conftest import Place, begin
from tests.play.dumps import differences, dump

pytestmark = pytest.mark.e2e
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "somebody-elses"},
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/srv"},
        "storageClassName": "by-hand",
    },
}
#: they make cluster-scoped objects, let the player make or change some, begin in a namespace that is being deleted, or
#: touch what is the cluster's own
LEVELS = (
    *("static-pv-bind", "two-defaults", "webhook-blocks-all", "drain-with-pdb", "kept-promises", "coredns-broken-zone"),
    *("priority-preemption", "vap-trusted-registry", "least-privilege-rbac", "no-names-in-the-pit"),
)


class Killed(BaseException):
    """The process ends here: nothing of it runs any more."""


async def test_levels_prove_with_the_players_account(place: Place) -> None:
    names = ["broken-selector", "static-pv-bind"]  # the second with rights beyond its namespace
    async with Api.open(place.kubeconfig) as api:
        before = await dump(api)
        report = await prove([Catalog.default().level(name) for name in names], place.cluster)
        assert [text(line) for line in report.lines if not line.ok] == []
        assert differences(before, await dump(api)) == {}


async def test_what_levels_ask_for_beyond_their_namespaces_is_enough_to_solve_them(place: Place) -> None:
    """One for each kind of rights; the player's account has no more than these."""
    names = [
        "user-csr-onboarding",
        "released-volume-rescue",
        "priority-preemption",
        "kept-promises",
        "vap-trusted-registry",
        "no-names-in-the-pit",  # in a namespace that stays
    ]
    levels = [Catalog.default().level(name) for name in names]
    assert all(level.rights for level in levels)
    once = [replace(level, solutions=level.solutions[:1], cheats=()) for level in levels]
    async with Api.open(place.kubeconfig) as api:
        before = await dump(api)
        report = await prove(once, place.cluster)
        lines = [line for line in report.lines if line.what not in ("mutation", "par")]  # those need all cheats
        assert [text(line) for line in lines if not line.ok] == []
        assert {(line.level, line.what) for line in lines} >= {(name, "solution") for name in names}
        assert differences(before, await dump(api)) == {}


async def test_a_cluster_is_not_probed_again_for_whoever_resumes(place: Place) -> None:
    """Each process that takes part in an attempt wakes the cluster; the probes of `up` make namespaces and take time."""
    again = ContextCluster(place.cluster.name, clock=place.cluster.clock)
    async with Api.open(place.kubeconfig) as admin:
        namespaces = await admin.resource("Namespace")
        before = (await admin.list(namespaces)).resource_version
        await again.wake()
        assert (await admin.list(namespaces)).resource_version == before  # nothing was written at all
    assert again.capabilities == frozenset()


async def test_what_was_begun_on_one_cluster_is_not_undone_on_another(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context leads elsewhere than it did: $KUBECONFIG is another file, or the cluster was made anew."""
    level = Catalog.default().level("static-pv-bind")  # its player may make and remove volumes
    store, record = Store(tmp_path / "progress.sqlite3"), record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        untouched = await dump(admin)
    await begin(place, level, record, store)
    host = EmbeddedHost(tmp_path / "elsewhere", tied=True)
    try:
        host.call("POST", "/clusters", {"name": "mine", "nodes": 1, "bare": True, "durable": False})
        kubeconfig = tmp_path / "elsewhere.yaml"
        kubeconfig.write_bytes((host.folder("mine") / "kubeconfig").read_bytes())
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        elsewhere = ContextCluster(place.cluster.name)
        async with Api.open(kubeconfig) as admin:
            await admin.create(await admin.resource("PersistentVolume"), VOLUME)
            before = await dump(admin)
            await take_down(record, level, elsewhere, store)
            assert differences(before, await dump(admin)) == {}
            with pytest.raises(ElsewhereError, match="is not the cluster any more"):
                await elsewhere.find(record.sandbox, uid=cluster_of(store.baseline(record.id).get(INVENTORY)))
        still = store.attempt(record.id)
        assert still is not None
        assert still.sandbox
    finally:
        host.stop()
    await place.pace.through(take_down(record, level, place.cluster, store))
    async with Api.open(place.kubeconfig) as admin:
        assert differences(untouched, await dump(admin)) == {}
    store.close()


DEEDS = st.sampled_from(
    [
        *("configmap", "held", "deployment", "claim", "policy", "unlabel", "create", "patch", "delete"),
        *("take", "label", "own", "anew"),
    ]
)


@settings(max_examples=1)
@given(
    name=st.sampled_from(LEVELS),
    deeds=st.lists(DEEDS, max_size=8, unique=True),
    writes=st.none() | st.integers(0, 30),
    again=st.none() | st.integers(0, 8),
)
@example(name="static-pv-bind", deeds=["create", "claim", "held", "policy", "unlabel"], writes=None, again=3)
@example(
    name="webhook-blocks-all", deeds=["configmap", "unlabel", "create", "patch", "delete"], writes=None, again=None
)
@example(name="drain-with-pdb", deeds=["patch", "deployment"], writes=None, again=1)
@example(name="kept-promises", deeds=["create", "patch", "delete"], writes=None, again=None)
@example(name="coredns-broken-zone", deeds=["patch"], writes=9, again=None)
@example(name="no-names-in-the-pit", deeds=["configmap"], writes=None, again=1)
@example(name="drain-with-pdb", deeds=["take", "label", "own"], writes=None, again=4)
@example(name="static-pv-bind", deeds=["label", "anew"], writes=None, again=5)
async def test_cleanup_leaves_the_cluster_as_it_was(
    place: Place, tmp_path: Path, name: str, deeds: list[str], writes: int | None, again: int | None
) -> None:
    """An attempt is killed after so many writes of its set-up (or not at all, then it is played by the player's own
    account), and so is the first clean-up."""
    level = Catalog.default().level(name)
    store = Store(tmp_path / "progress.sqlite3")
    async with Api.open(place.kubeconfig) as admin:
        theirs = await _ensure_theirs(admin)
        before = await dump(admin)
        record = record_of(level)
        player = await _attempt(place, level, record, store, writes)
        if player is not None:
            async with Api.open(player) as api:
                for deed in deeds:
                    done = await _did(api, admin, level, deed)
                    assert done or deed in ("unlabel", "label")  # that is what few levels let him
                    if deed == "create" and any(_lets_create(right) for right in level.rights):
                        assert any("/by-the-player" in key for key in await dump(admin))
        for limit in (again, None):
            with _mortal(limit):
                try:
                    await place.pace.through(take_down(record, level, place.cluster, store))
                except Killed:
                    continue
        left = differences(before, await dump(admin))
        anew = {key for key, (was, now) in left.items() if was and now and _content(was) == _content(now)}
        assert {key: found for key, found in left.items() if key not in anew} == {}
        assert not anew or {"anew", "delete"} & {*deeds}  # what the player removed is there again, as another object
        assert theirs in before
        record_now = store.attempt(record.id)
        assert record_now is not None
        assert record_now.sandbox == ""
    store.close()


def _content(dumped: str) -> str:
    """Without the uid."""
    return dumped.rpartition("}")[0]


def record_of(level: Level) -> AttemptRecord:
    """Of an attempt that has begun."""
    import uuid

    name = uuid.uuid4().hex[:12]
    return AttemptRecord(
        id=name,
        level=level.name,
        seed=0,
        mode="ranked",
        cluster="context:x",
        sandbox=f"attempt-{name}",
        kubeconfig="",
        begun=datetime.now(UTC),
        folder=level.folder,
    )


async def _attempt(place: Place, level: Level, record: AttemptRecord, store: Store, writes: int | None) -> Path | None:
    """Set up as a session does; after `writes` writes nothing more is sent (None: it lives). The player's kubeconfig."""
    with _mortal(writes):
        try:
            return await begin(place, level, record, store)
        except Killed:
            return None


class _mortal:
    """Every write counts; the one after the last is never sent, and nothing after it happens."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit

    def __enter__(self) -> None:
        self.original = original = Api.request
        left = [self.limit]

        async def request(api: Api, method: str, path: str, **options: Any) -> Any:
            if method != "GET" and left[0] is not None and api.fence is not None:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
            return await original(api, method, path, **options)

        Api.request = request  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        Api.request = self.original  # type: ignore[method-assign]


async def _ensure_theirs(api: Api) -> str:
    """What somebody else has there."""
    for kind, namespace, body in (
        ("Namespace", "", {"metadata": {"name": "shop"}}),
        ("ConfigMap", "shop", {"metadata": {"name": "precious"}, "data": {"a": "1"}}),
        ("PersistentVolume", "", {**VOLUME, "spec": {**VOLUME["spec"], "persistentVolumeReclaimPolicy": "Delete"}}),
    ):
        try:
            await api.create(await api.resource(kind), {"kind": kind, "apiVersion": "v1", **body}, namespace=namespace)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    for _ in range(400):
        if await api.read(await api.resource("ServiceAccount"), "shop", "default"):
            break
        await asyncio.sleep(0.01)
    return "configmaps shop/precious"


async def _did(api: Api, admin: Api, level: Level, deed: str) -> bool:
    """Whether the player could do it."""
    try:
        await _do(api, admin, level, deed)
    except ApiError as error:
        if error.code not in (403, 404, 409, 422, 500):
            raise
        return False
    return True


async def _do(api: Api, admin: Api, level: Level, deed: str) -> None:
    async def make(kind: str, body: dict[str, Any]) -> None:
        resource = await api.resource(kind)
        await api.create(
            resource, {"apiVersion": resource.api_version, "kind": kind, **body}, namespace=level.namespace
        )

    pod = {"containers": [{"name": "c", "image": "busybox:1.36", "command": ["sleep", "9"]}]}
    if deed == "configmap":
        await make("ConfigMap", {"metadata": {"name": "note"}})
    elif deed == "held":
        await make("Secret", {"metadata": {"name": "held", "finalizers": ["example.com/never"]}})
    elif deed == "deployment":
        template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        await make("Deployment", {"metadata": {"name": "mine"}, "spec": spec})
    elif deed == "claim":
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        await make("PersistentVolumeClaim", {"metadata": {"name": "c"}, "spec": spec})
    elif deed == "take":
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        await make(
            "PersistentVolumeClaim", {"metadata": {"name": "t"}, "spec": {**spec, "storageClassName": "by-hand"}}
        )
    elif deed == "label":
        attempt = (await admin.read(await admin.resource("Namespace"), "", level.namespace) or {})["metadata"]["labels"]
        await _change(api, admin, level, {"labels": {LABEL_ATTEMPT: attempt.get(LABEL_ATTEMPT, "none")}})
    elif deed == "own":
        note = {"metadata": {"name": f"owner-{level.name}"}}
        await make("Secret", note)
        live = await admin.read(await admin.resource("Secret"), level.namespace, note["metadata"]["name"])
        owner = {"apiVersion": "v1", "kind": "Secret", **note["metadata"], "uid": (live or {})["metadata"]["uid"]}
        await _change(api, admin, level, {"ownerReferences": [owner]})
    elif deed == "anew":
        await _make_anew(api, admin, level)
    elif deed == "policy":
        await make("NetworkPolicy", {"metadata": {"name": "p"}, "spec": {"podSelector": {}}})
    elif deed == "unlabel":
        labels = {"metadata": {"labels": {"kuartui.dev/attempt": None}}}
        await api.patch(await api.resource("Namespace"), "", level.namespace, labels)
    else:
        await _use_rights(api, admin, level, deed)


async def _use_rights(api: Api, admin: Api, level: Level, verb: str) -> None:
    """Create, label or delete one object of each kind that the level's rights let him."""
    for resource in await admin.listable():
        for right in level.rights:
            if verb not in right.verbs or resource.group_resource not in right.resources:
                continue
            with suppress(ApiError):  # what an API server does not take is no deed
                if verb == "create":
                    await _create(api, resource)
                    continue
                live = (await admin.list(resource)).items
                found = next((obj for obj in live if _covered(right, resource, obj)), None)
                if found is None:
                    continue
                namespace, name = found["metadata"].get("namespace", ""), found["metadata"]["name"]
                if verb == "delete":
                    await api.delete(resource, namespace, name)
                else:
                    await api.patch(resource, namespace, name, {"metadata": {"labels": {"by": "player"}}})


async def _change(api: Api, admin: Api, level: Level, metadata: dict[str, Any]) -> None:
    """All that the level's rights let him, as kubectl does it."""
    for resource in await admin.listable():
        for obj in (await admin.list(resource)).items if _of_rights(level, resource, "patch") else ():
            place, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
            if "ownerReferences" in obj["metadata"]:
                continue
            with suppress(ApiError):
                params = {"fieldManager": "kubectl-patch"}
                body = {"metadata": metadata}
                await api.request(
                    "PATCH", resource.path(place, name), params=params, body=body, content_type=MERGE_PATCH
                )


async def _make_anew(api: Api, admin: Api, level: Level) -> None:
    """Remove one of each kind that he may remove and make, and make it in another way."""
    for resource in await admin.listable():
        if not (_of_rights(level, resource, "delete") and _of_rights(level, resource, "create")):
            continue
        found = [
            obj for obj in (await admin.list(resource)).items if not obj["metadata"]["name"].startswith("attempt-")
        ]
        for obj in found[:1]:  # but not what lets him do it
            name = obj["metadata"]["name"]
            with suppress(ApiError):
                await api.delete(resource, obj["metadata"].get("namespace", ""), name)
                await _create(api, resource, name)


def _lets_create(right: Right) -> bool:
    """An object, that is; not an eviction."""
    return "create" in right.verbs and any("/" not in resource for resource in right.resources)


def _of_rights(level: Level, resource: Resource, verb: str) -> bool:
    return any(verb in right.verbs and resource.group_resource in right.resources for right in level.rights)


def _covered(right: Right, resource: Resource, obj: dict[str, Any]) -> bool:
    metadata = obj["metadata"]
    return not metadata.get("ownerReferences") and covers(
        right, resource.group_resource, metadata.get("namespace", ""), metadata["name"]
    )


async def _create(api: Api, resource: Resource, name: str = "by-the-player") -> None:
    """Something small of a kind, by default with a name that nobody has."""
    policy = {"matchConstraints": {"resourceRules": []}, "validations": [{"expression": "true"}]}
    body: dict[str, Any] = {
        "PersistentVolume": {
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"}}
        },
        "StorageClass": {"provisioner": "example.com/none"},
        "PriorityClass": {"value": 7},
        "ClusterRole": {"rules": []},
        "ClusterRoleBinding": {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "by-the-player"}
        },
        "ValidatingWebhookConfiguration": {"webhooks": []},
        "ValidatingAdmissionPolicy": {"spec": policy},
    }.get(resource.kind, {})
    metadata = {"name": name}
    await api.create(
        resource, {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **body}
    )


async def test_a_proof_that_was_killed_is_undone_by_whoever_comes_next(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it changed, too: the cluster's own DNS."""
    level = Catalog.default().level("coredns-broken-zone")

    async def die(*_: object, **__: object) -> list[str]:
        raise Killed

    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        with monkeypatch.context() as killing:
            killing.setattr(Run, "_perform", die)
            killing.setattr(Arena, "undo", die)
            with pytest.raises(Killed):
                await prove([level], place.cluster)
        left = differences(before, await dump(admin))
        assert "configmaps kube-system/coredns" in left
        await place.pace.through(trail.sweep(place.cluster))
        left = differences(before, await dump(admin))
        assert [key for key in left if not key.startswith("pods kube-system/coredns-")] == []  # those began again
        assert not [*(paths.state_dir() / "proofs").glob("*.sqlite3*")]


async def test_one_proof_at_a_time_is_at_a_cluster_of_others(place: Place) -> None:
    level = Catalog.default().level("broken-selector")
    async with trail.following(place.cluster):
        with pytest.raises(AttemptError, match="another proof"):
            await prove([level], place.cluster)
        await trail.sweep(place.cluster)  # what is at work is left alone
