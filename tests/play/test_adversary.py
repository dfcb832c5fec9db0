"""Level packs and players that do their worst on a cluster of somebody else's: what is his stays, what is theirs goes.

The cluster is an embedded one on stepped time behind a plain kubeconfig, as in test_shared.py.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from kuartui.catalog.catalog import Catalog
from kuartui.cluster.resources import Resource
from kuartui.cluster.rest import Api
from kuartui.errors import ApiError, KuartuiError
from kuartui.game.labels import LABEL_ATTEMPT, LABEL_CHECKER
from kuartui.game.level import Level, Right, Settle, Setup
from kuartui.play.arena import Arena
from kuartui.play.cleanup import take_stock
from kuartui.play.leading import INVENTORY
from kuartui.play.takedown import take_down
from kuartui.progress.store import Made, Store
from tests.play.conftest import Place, begin
from tests.play.dumps import differences, dump
from tests.play.test_shared import record_of

pytestmark = pytest.mark.e2e

NOWHERE = {"service": {"name": "nobody", "namespace": "pit", "path": "/"}}
ALL = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "scope": "*"}
VOLUMES = Right(verbs=("create", "patch", "update", "delete"), resources=("persistentvolumes",))


def thing(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    place, labels = more.pop("namespace", ""), more.pop("labels", {})
    metadata = {"name": name, "labels": labels, **more.pop("metadata", {}), **({"namespace": place} if place else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def webhook(kind: str, *operations: str) -> dict[str, Any]:
    """Asks a Service that is not there about everything, and lets nothing through without its answer."""
    hook = {
        "name": "no.pit.example",
        "clientConfig": NOWHERE,
        "rules": [{**ALL, "operations": list(operations)}],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    return thing(kind, "no", "admissionregistration.k8s.io/v1", webhooks=[hook])


POLICY = [
    thing(
        "ValidatingAdmissionPolicy",
        "nothing-goes",
        "admissionregistration.k8s.io/v1",
        spec={
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{**ALL, "operations": ["DELETE"], "resources": ["*"]}]},
            "validations": [{"expression": "false", "message": "nothing goes"}],
        },
    ),
    thing(
        "ValidatingAdmissionPolicyBinding",
        "nothing-goes",
        "admissionregistration.k8s.io/v1",
        spec={"policyName": "nothing-goes", "validationActions": ["Deny"]},
    ),
]
HELD = {"finalizers": ["pit.example/never"]}
NOTE = thing("ConfigMap", "note")

#: what a pack applies, and what is said when that is refused
PACKS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a webhook that lets nothing go": ([NOTE, webhook("ValidatingWebhookConfiguration", "DELETE")], ""),
    "a webhook that lets nothing be": ([NOTE, webhook("MutatingWebhookConfiguration", "*")], "failed calling webhook"),
    "a policy that lets nothing go": ([NOTE, *POLICY], ""),
    "finalizers": (
        [
            thing("Namespace", "pit", metadata=HELD),
            thing("ConfigMap", "held", metadata=HELD),
            thing("ClusterRole", "held", "rbac.authorization.k8s.io/v1", metadata=HELD, rules=[]),
        ],
        "",
    ),
    "something new in kube-system": ([thing("ConfigMap", "by-the-pack", namespace="kube-system")], ""),
    "something of kube-system": (
        [NOTE, thing("ConfigMap", "coredns", namespace="kube-system", data={"Corefile": ""})],
        "configmaps coredns in namespace kube-system is not kuartui's",
    ),
    "a namespace of somebody else's": ([thing("Namespace", "shop")], "namespace shop is there already and not ours"),
    "something in it": ([thing("ConfigMap", "mine", namespace="shop")], "is not kuartui's: it is left alone"),
    "something in it, with our label": (
        [thing("ConfigMap", "mine", namespace="shop", labels={LABEL_ATTEMPT: "0123456789ab", LABEL_CHECKER: "true"})],
        "is not kuartui's: it is left alone",
    ),
    "a role of somebody else's": (
        [NOTE, thing("ClusterRole", "precious", "rbac.authorization.k8s.io/v1", rules=[])],
        "clusterroles.rbac.authorization.k8s.io precious is not kuartui's",
    ),
}


def level_of(folder: Path, manifests: list[dict[str, Any]], *rights: Right, namespace: str = "pit") -> Level:
    """A level of a stranger's pack: these manifests, these rights, nothing to check."""
    (folder / "setup").mkdir(parents=True)
    (folder / "setup" / "all.yaml").write_text(yaml.safe_dump_all(manifests))
    bare: dict[str, Any] = {"checks": (), "guards": (), "protected": (), "needs": ()}
    setup = Setup(manifests=("setup/",), settle=Settle(timeout=10))
    level = Catalog.default().level("first-steps")
    return replace(level, folder=str(folder), namespace=namespace, rights=rights, setup=setup, **bare)


async def make(api: Api, *objects: dict[str, Any]) -> None:
    for obj in objects:
        await api.create(await api.resource(obj["kind"], obj["apiVersion"]), obj)


async def test_a_pack_that_does_its_worst(place: Place, tmp_path: Path) -> None:
    store = Store(tmp_path / "progress.sqlite3")
    async with Api.open(place.kubeconfig) as admin:
        await make(
            admin,
            thing("Namespace", "shop"),
            thing("ConfigMap", "precious", namespace="shop", data={"a": "1"}),
            thing(
                "ClusterRole",
                "precious",
                "rbac.authorization.k8s.io/v1",
                rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
            ),
        )
        await place.pace.pass_by(5)
        before = await dump(admin)
        for number, (what, (manifests, refusal)) in enumerate(PACKS.items()):
            level = level_of(tmp_path / str(number), manifests)
            record = record_of(level)
            said = ""
            try:
                player = await begin(place, level, record, store)
                assert player is not None
                async with Api.open(player) as api:
                    await make(api, thing("ConfigMap", "by-the-player", namespace="pit", metadata=HELD))
            except KuartuiError as error:
                said = str(error.message)
            assert refusal in said if refusal else not said, f"{what}: {said}"
            assert differences(before, await dump(admin)) or refusal, what  # it did do something
            await place.pace.through(take_down(record, level, place.cluster, store))
            assert differences(before, await dump(admin)) == {}, what
    store.close()


def volume(name: str, claim: str = "", **more: Any) -> dict[str, Any]:
    """A PersistentVolume, bound to a claim (shop/data) if one is named."""
    namespace, _, of = claim.partition("/")
    bound = {"claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": of}} if claim else {}
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"}, **bound}
    return thing("PersistentVolume", name, spec={**spec, "storageClassName": "none", **more})


def request(name: str) -> dict[str, Any]:
    """Somebody asks for a certificate."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    )
    text = base64.b64encode(signed.public_bytes(Encoding.PEM)).decode()
    spec = {"request": text, "signerName": "example.com/pit", "usages": ["client auth"]}
    return thing("CertificateSigningRequest", name, "certificates.k8s.io/v1", spec=spec)


async def test_what_others_do_meanwhile_is_theirs(place: Place, tmp_path: Path) -> None:
    """Two players side by side, both of whom may make and change volumes, and a cluster that goes on living."""
    store = Store(tmp_path / "progress.sqlite3")
    asking = Right(verbs=("create", "delete", "get"), resources=("certificatesigningrequests.certificates.k8s.io",))
    ours = level_of(tmp_path / "a", [NOTE, volume("shelf-a")], VOLUMES, asking)
    theirs = level_of(tmp_path / "b", [NOTE, volume("shelf-b")], VOLUMES, namespace="den")
    first, second = record_of(ours), record_of(theirs)
    async with Api.open(place.kubeconfig) as admin:
        await make(admin, thing("Namespace", "shop"), volume("old", "shop/old"), volume("free"), volume("spare"))
        await place.pace.pass_by(5)
        empty = await dump(admin)
        player, other = await begin(place, ours, first, store), await begin(place, theirs, second, store)
        assert player is not None
        assert other is not None
        await make(admin, volume("new", "shop/new"), request("kubelet"))
        volumes = await admin.resource("PersistentVolume")
        await admin.delete(volumes, "", "old")  # its claim is gone, and so is it
        free = {"claimRef": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "free"}}
        await admin.patch(volumes, "", "free", {"spec": free})
        await place.pace.pass_by(5)
        before = await dump(admin)
        async with Api.open(player) as api:
            await make(api, volume("by-the-player"), request("by-the-player"))
            await api.patch(volumes, "", "free", {"metadata": {"labels": {"by": "the-player"}}})
            await api.patch(volumes, "", "spare", {"spec": {"capacity": {"storage": "9Gi"}}})
        assert differences(before, await dump(admin))

        await place.pace.through(take_down(first, ours, place.cluster, store))
        now = await dump(admin)
        assert [key for key in now if first.id in key or " pit" in key or key.endswith("/pit")] == []
        changed = {key for key in differences(before, now) if first.id not in key and "pit" not in key}
        assert changed == {"persistentvolumes /shelf-a"}
        assert "persistentvolumes /shelf-a" not in now
        async with Api.open(other) as api:  # who plays on as if nothing had been
            assert await api.read(await api.resource("ConfigMap"), "den", "note")
        await place.pace.through(take_down(second, theirs, place.cluster, store))
        left = differences(empty, await dump(admin))
        assert {*left} == {
            "certificatesigningrequests.certificates.k8s.io /kubelet",
            *(f"persistentvolumes /{name}" for name in ("old", "new", "free")),
        }
    store.close()


async def test_a_namespace_that_somebody_made_in_that_very_moment(place: Place, tmp_path: Path) -> None:
    """It is noted before it is made, and then it is there already: of that name, not ours."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [NOTE])
    record = record_of(level)
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)

        def note(made: list[Made]) -> None:
            store.note_made(record.id, made)

        store.begin(record)
        sandbox = await place.cluster.sandbox(record.sandbox)
        arena = Arena(level, sandbox, record.id)
        create = arena.api.create

        async def late(resource: Resource, obj: dict[str, Any], **options: Any) -> Any:
            if obj["kind"] == "Namespace":
                await make(admin, thing("Namespace", "pit"), thing("ConfigMap", "precious", namespace="pit"))
            return await create(resource, obj, **options)

        arena.api.create = late  # type: ignore[method-assign]
        with pytest.raises(ApiError, match="already exists"):
            await place.pace.through(
                arena.prepare(note=note, found=lambda stock: store.set_baseline(record.id, {INVENTORY: stock}))
            )
        await arena.close()
        assert Made("Namespace", "v1", "", "pit") in store.made(record.id)
        await place.pace.through(take_down(record, level, place.cluster, store))
        assert "configmaps pit/precious" in differences(before, await dump(admin))
    store.close()


async def test_what_cannot_be_looked_at_is_not_taken_for_the_attempts(place: Place, tmp_path: Path) -> None:
    """A stock without the volumes that are there would have the clean-up remove them all."""
    level = level_of(tmp_path / "pack", [NOTE], VOLUMES)
    async with Api.open(place.kubeconfig) as admin:
        get = admin.get

        async def away(path: str, **params: str) -> Any:
            if path == "/api/v1/persistentvolumes":
                raise ApiError("the server is currently unable to handle the request", code=503)
            return await get(path, **params)

        admin.get = away  # type: ignore[method-assign]
        with pytest.raises(ApiError, match="currently unable"):
            await take_stock(admin, level.rights, alone=False)
        assert (await take_stock(admin, (), alone=False))["inventory"]


async def test_reset_gets_past_what_holds_it(place: Place, tmp_path: Path) -> None:
    """`kuartui cluster reset`, with nothing known of the attempt but its label."""
    store = Store(tmp_path / "progress.sqlite3")
    level = level_of(tmp_path / "pack", [webhook("ValidatingWebhookConfiguration", "DELETE"), *POLICY])
    async with Api.open(place.kubeconfig) as admin:
        before = await dump(admin)
        player = await begin(place, level, record_of(level), store)
        assert player is not None
        async with Api.open(player) as api:
            await make(api, thing("ConfigMap", "held", namespace="pit", metadata=HELD))
        await place.pace.through(place.cluster.reset())
        left = differences(before, await dump(admin))
        assert {key for key in left if "kuartui" not in key} == set()
    store.close()
