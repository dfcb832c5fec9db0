"""Keys, certificates and the administrator's token of a cluster, and how its API server shows and checks them."""

from __future__ import annotations

import functools
import secrets
import ssl
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.auth import pki
from kuartui.embedded.bootstrap import API_ADDRESS, API_IP
from kuartui.embedded.network.tls import GO_REFUSAL, load_pem

NAMES = (
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    API_IP,
    API_ADDRESS,
)


class Identity(Struct, frozen=True):
    """What a cluster is known by."""

    authority: pki.KeyPair
    front_proxy: pki.KeyPair
    """Vouches for the API server towards aggregated ones."""
    server: pki.KeyPair
    signing_key: bytes
    token: str


def kept(state: Path) -> Identity:
    """What is in a cluster's state directory, or is made there now. Raises OSError."""
    token = state / "admin.token"
    places = [(state / f"{name}.crt", state / f"{name}.key") for name in ("ca", "front-proxy-ca", "server")]
    (ca, proxy, server), signing_key = places, state / "sa.key"
    if not token.is_file():
        made = _made()
        pki.write_pair(made.authority, *ca)
        pki.write_pair(made.front_proxy, *proxy)
        pki.write_pair(made.server, *server)
        write_private(signing_key, made.signing_key)
        write_private(token, made.token.encode())  # last: its presence says that all is there
        return made
    if not proxy[1].is_file():  # earlier versions had none
        pki.write_pair(pki.new_authority("front-proxy-ca"), *proxy)
    authority, front_proxy, shown = (pki.KeyPair(cert.read_bytes(), key.read_bytes()) for cert, key in places)
    return Identity(authority, front_proxy, shown, signing_key.read_bytes(), token.read_text().strip())


def passing() -> Identity:
    """For a cluster that nothing is kept of: all of a process have the same certificates, and keys for tokens of their
    own, so that no token of one is good for another."""
    return replace(_first(), signing_key=pki.new_key(), token=_token())


@functools.cache
def _first() -> Identity:
    return _made()


def _made() -> Identity:
    authority, front_proxy = pki.new_authority(), pki.new_authority("front-proxy-ca")
    server = pki.server_certificate(authority, NAMES)
    return Identity(authority, front_proxy, server, pki.new_key(), _token())


def _token() -> str:
    return secrets.token_urlsafe(32)


def write_private(path: Path, content: bytes) -> None:
    """A file for its owner alone, replaced whole: whoever is killed or finds the disk full leaves what was there."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    beside.write_bytes(content)
    beside.replace(path)


NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the ssl module has no name for."""


class _Handshake(ssl.SSLObject):
    """A server's end, which tells a client that speaks plain HTTP so, as servers in Go do."""

    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if error.reason != "HTTP_REQUEST":
                raise
            self.outgoing.write(GO_REFUSAL)
            raise ssl.SSLWantReadError from error  # has the answer sent; the client hangs up


class _ServerContext(ssl.SSLContext):
    sslobject_class = _Handshake

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, *args, **options)
        assert isinstance(made, _Handshake)
        made.outgoing = outgoing
        return made


@functools.lru_cache(8)
def context(server: pki.KeyPair, clients: bytes = b"") -> ssl.SSLContext:
    """For whoever serves with that certificate. `clients` is the authority (PEM) of certificates that clients may show;
    whether these are out of date is for each request to see, which is answered with 401 then."""
    made = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    made.num_tickets = 0  # no client resumes a session here, and making tickets costs
    load_pem(made, server.certificate, server.key)
    if clients:
        made.verify_mode = ssl.CERT_OPTIONAL
        made.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
        made.load_verify_locations(cadata=clients.decode())
    return made
