"""Keys and certificates of a cluster."""

from __future__ import annotations

import asyncio
import errno
import ssl
import stat
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kuartui.embedded import identity
from kuartui.embedded.auth import pki
from kuartui.embedded.cluster import Cluster, Spec
from kuartui.embedded.host import Host
from kuartui.embedded.network.tls import load_pem


def test_it_is_kept_in_the_state_directory(tmp_path: Path) -> None:
    made = identity.kept(tmp_path)
    assert identity.kept(tmp_path) == made
    secret = [path for path in tmp_path.iterdir() if path.suffix in (".key", ".token")]
    assert len(secret) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_what_an_earlier_version_left_is_completed(tmp_path: Path) -> None:
    made = identity.kept(tmp_path)
    for path in tmp_path.glob("front-proxy-ca.*"):
        path.unlink()
    found = identity.kept(tmp_path)
    assert found.front_proxy != made.front_proxy
    assert (found.authority, found.server, found.token) == (made.authority, made.server, made.token)
    assert identity.kept(tmp_path) == found


async def test_a_full_disk_takes_no_cluster_and_no_identity_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed in the middle of a write leaves the same: a file that has been emptied."""

    write = Path.write_bytes

    def full(path: Path, content: bytes) -> None:
        if path.suffix in (".crt", ".key"):
            write(path, content)
            return
        path.open("w").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    first = Host(tmp_path)
    made = await first.create(Spec("a", nodes=1, bare=True, fast=True))
    first.kubeconfig("a", {"user": "bob"})
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            first.kubeconfig("a", {"user": "eve"})
        await first.stop()
        await Host(tmp_path).restore()
        with pytest.raises(OSError, match="No space"):
            identity.kept(tmp_path / "clusters")
    last = Host(tmp_path)
    await last.restore()
    try:
        assert last.get("a").identity.token == made.identity.token
        assert identity.kept(tmp_path / "clusters").token
    finally:
        await last.stop()


async def test_no_token_of_a_passing_cluster_is_good_for_another(tmp_path: Path) -> None:
    host = Host(tmp_path)
    here, there = [await host.create(Spec(name, nodes=1, bare=True, fast=True, durable=False)) for name in ("a", "b")]
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    try:
        made = await ask(here, here.identity.token, "POST", f"{account}/token", {"spec": {}})
        token = made.json()["status"]["token"]
        assert (await ask(here, token, "GET", account)).status_code == 403
        for foreign in (token, here.identity.token):
            assert (await ask(there, foreign, "GET", account)).status_code == 401
    finally:
        await host.stop()


async def test_a_client_whose_certificate_is_out_of_date_is_told_so_in_http(tmp_path: Path) -> None:
    host = Host(tmp_path)
    cluster = await host.create(Spec("a", nodes=1, bare=True, fast=True, durable=False))
    try:
        for minutes, status in ((2, 403), (-2, 401)):
            trusted = ssl.create_default_context(cadata=cluster.identity.authority.certificate.decode())
            load_pem(trusted, *issued(cluster.identity.authority, "bob", timedelta(minutes=minutes)))
            async with httpx.AsyncClient(verify=trusted) as api:
                assert (await api.get(f"{cluster.url}/api/v1/nodes")).status_code == status
    finally:
        await host.stop()


def issued(authority: pki.KeyPair, user: str, lifetime: timedelta) -> tuple[bytes, bytes]:
    """A user's certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    request = asked.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pki.sign_request(authority, request, ["client auth"], lifetime), private


async def ask(cluster: Cluster, token: str, method: str, path: str, body: object = None) -> httpx.Response:
    trusted = ssl.create_default_context(cadata=cluster.identity.authority.certificate.decode())
    async with httpx.AsyncClient(verify=trusted, headers={"Authorization": f"Bearer {token}"}) as api:
        return await api.request(method, cluster.url + path, json=body)


async def test_who_speaks_plain_http_to_the_api_server_is_told(tmp_path: Path) -> None:
    kept = identity.kept(tmp_path)
    loop = asyncio.get_running_loop()
    context = identity.context(kept.server)
    listening = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=context)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/api"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
    assert (answer.status_code, answer.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")
    listening.close()
