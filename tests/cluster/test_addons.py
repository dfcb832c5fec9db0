"""Add-ons against a bare cluster that lacks what they give, with the real kubectl."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from kuartui.cluster import addons, capabilities, kubectl, tool
from kuartui.cluster.clock import RealClock, SteppedClock
from kuartui.cluster.embedded import CAPABILITIES, EmbeddedSandbox
from kuartui.cluster.host import EmbeddedHost
from kuartui.cluster.rest import Api
from kuartui.errors import ClusterError

pytestmark = pytest.mark.e2e
CLASSES = "/apis/gateway.networking.k8s.io/v1/gatewayclasses"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedHost]:
    host = EmbeddedHost(tmp_path_factory.mktemp("host"), tied=True)
    try:
        yield host
    finally:
        host.stop()


@pytest.fixture
def bare(host: EmbeddedHost) -> Iterator[Path]:
    """The kubeconfig of a cluster without metrics and without add-ons."""
    host.call("POST", "/clusters", {"name": "bare", "nodes": 1, "bare": True, "durable": False})
    yield host.folder("bare") / "kubeconfig"
    host.call("DELETE", "/clusters/bare")


@pytest.fixture
async def full(host: EmbeddedHost) -> AsyncIterator[Path]:
    """One as players get it, a minute old; from then on its time passes by itself."""
    spec = {"name": "full", "nodes": 3, "durable": False, "head": 60}
    host.call("POST", "/clusters", spec)
    box = EmbeddedSandbox(host, "full", spec)
    assert isinstance(box.clock, SteppedClock)
    await box.clock.advance(60)
    await box.present()
    yield host.folder("full") / "kubeconfig"
    await box.close()


async def kubectl_run(kubeconfig: Path, *arguments: str) -> str:
    program = str(kubectl.find().path)
    return await tool.run([program, "--kubeconfig", str(kubeconfig), *arguments], what="kubectl", timeout=60)


async def test_manifests_are_taken_by_an_api_server(bare: Path) -> None:
    """Twice: an add-on may be there already."""
    for addon in addons.known():
        file = addons.manifest(f"addons/{addon.name}/{addon.name}.yaml")
        for _ in range(2):
            await kubectl_run(bare, "apply", "--server-side", "--validate=strict", "-f", str(file))
    found = await kubectl_run(bare, "get", "deployments", "-A", "-o", "yaml")
    names = {f"{o['metadata']['namespace']}/{o['metadata']['name']}" for o in yaml.safe_load(found)["items"]}
    assert {place for addon in addons.known() for place in addon.ready} <= names


async def test_an_add_on_that_does_not_come_up_is_one_sentence(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This cluster has no such program as metrics-server: the image cannot be pulled."""
    monkeypatch.setattr(addons, "READY_SECONDS", 2)
    heard: list[str] = []
    context = yaml.safe_load(bare.read_text())["current-context"]
    with pytest.raises(ClusterError, match="^waiting for metrics-server failed: .*timed out") as caught:
        await addons.install(addons.known()[0], bare, context, lambda progress: heard.append(progress.text))
    assert "\n" not in caught.value.message
    assert heard == ["installing metrics-server v0.8.0", "waiting for metrics-server"]


async def test_a_gateway_is_found_by_its_controller_not_by_its_definitions(
    bare: Path, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(kubeconfig: Path) -> bool:
        async with Api.open(kubeconfig) as api:
            answer = await capabilities.classes_are_accepted(api, RealClock(), lambda _: None)
            assert not (await api.glimpse(CLASSES) or {"items": []})["items"]  # nothing is left of the probe
            return answer

    assert await found(full)
    assert not await found(bare)
    monkeypatch.setattr(capabilities, "GATEWAY_CONTROLLER", "example.com/nobody")
    monkeypatch.setattr(capabilities, "CLASS_SECONDS", 0.5)
    assert not await found(full)


async def test_the_embedded_cluster_can_do_what_it_says(full: Path) -> None:
    async with Api.open(full) as api:
        found = await capabilities.detect(api, RealClock(), lambda _: None)
    assert found == CAPABILITIES - {"node-power"}  # which a kubeconfig alone does not give
