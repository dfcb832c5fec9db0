"""What the programs of a control plane leave in a new cluster."""

from __future__ import annotations

from types import SimpleNamespace

import yaml
from cryptography import x509

from kuartui.embedded.auth.pki import new_authority
from kuartui.embedded.control_plane import install, renew
from kuartui.embedded.data import bootstrap
from kuartui.embedded.kubeadm_rights import GROUP
from kuartui.embedded.metrics.kubelet import configuration
from tests.embedded.controllers.cluster import Cluster

LEASES = "leases.coordination.k8s.io"
OURS = SimpleNamespace(authority=new_authority(), front_proxy=new_authority("front-proxy-ca"))


async def test_aggregated_servers_find_whom_to_trust(cluster: Cluster) -> None:
    install(cluster.client, "x", OURS, "1.2.3.4:6443", kubeadm=False)
    found = cluster.get("configmaps", "extension-apiserver-authentication", "kube-system")["data"]
    proxy = x509.load_pem_x509_certificate(found["requestheader-client-ca-file"].encode())
    assert proxy.subject.rfc4514_string() == "CN=front-proxy-ca"
    assert found["client-ca-file"] == OURS.authority.certificate.decode()


async def test_kubeadm_tells_where_the_api_is_and_what_the_ranges_are(cluster: Cluster) -> None:
    install(cluster.client, "x", OURS, "1.2.3.4:6443", kubeadm=True)
    info = yaml.safe_load(cluster.get("configmaps", "cluster-info", "kube-public")["data"]["kubeconfig"])
    assert info["clusters"][0]["cluster"]["server"] == "https://1.2.3.4:6443"
    text = cluster.get("configmaps", "kubeadm-config", "kube-system")["data"]["ClusterConfiguration"]
    (cidr,) = cluster.get("servicecidrs.networking.k8s.io", "kubernetes")["spec"]["cidrs"]
    assert yaml.safe_load(text)["networking"]["serviceSubnet"] == cidr


async def test_the_kubelets_configuration_is_what_they_show(cluster: Cluster) -> None:
    install(cluster.client, "x", OURS, "1.2.3.4:6443", kubeadm=True)
    text = cluster.get("configmaps", "kubelet-config", "kube-system")["data"]["kubelet"]
    assert yaml.safe_load(text) == configuration()


async def test_a_second_start_changes_nothing(cluster: Cluster) -> None:
    install(cluster.client, "x", OURS, "1.2.3.4:6443", kubeadm=True)
    revision = cluster.store.revision
    install(cluster.client, "x", OURS, "1.2.3.4:6443", kubeadm=True)
    assert cluster.store.revision == revision


async def test_leaders_renew_their_leases_and_make_lost_ones_anew(cluster: Cluster) -> None:
    install(cluster.client, "x", OURS, "1.2.3.4:6443", kubeadm=False)
    before = cluster.get(LEASES, "kube-scheduler", "kube-system")["spec"]
    await cluster.delete(LEASES, "kube-controller-manager", "kube-system")
    await cluster.run(10)
    renew(cluster.client, "x")
    after = cluster.get(LEASES, "kube-scheduler", "kube-system")["spec"]
    assert after["renewTime"] > before["renewTime"]
    assert after["holderIdentity"] == before["holderIdentity"]
    assert cluster.get(LEASES, "kube-controller-manager", "kube-system")


async def test_rights_that_kubeadm_gives_are_of_roles_that_there_are(cluster: Cluster) -> None:
    install(cluster.client, "x", OURS, "1.2.3.4:6443", kubeadm=True)
    built_in = {role["metadata"]["name"] for role in bootstrap()["clusterroles"]}
    bindings = [*cluster.client.list(f"clusterrolebindings.{GROUP}"), *cluster.client.list(f"rolebindings.{GROUP}")]
    assert len(bindings) == 11
    for binding in bindings:
        reference, place = binding["roleRef"], binding["metadata"].get("namespace", "")
        plural = "roles" if reference["kind"] == "Role" else "clusterroles"
        made = cluster.client.get(f"{plural}.{GROUP}", place if plural == "roles" else "", reference["name"])
        assert made or reference["name"] in built_in
