"""A cluster's own certificate authority, its certificates and the key that signs service account tokens.

Elliptic curves throughout: RSA keys would cost a noticeable part of a second at the first start.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

YEARS_10 = timedelta(days=3650)
YEAR = timedelta(days=365)
SKEW = timedelta(hours=1)


class KeyPair(Struct, frozen=True):
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


def new_key() -> bytes:
    """A fresh private key, PEM."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def new_authority(name: str = "kubernetes") -> KeyPair:
    """A self-signed certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject, subject, key.public_key(), YEARS_10)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def server_certificate(authority: KeyPair, names: Sequence[str]) -> KeyPair:
    """For the API server, under all its names and addresses."""
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    return _issue(authority, "kube-apiserver", (), ExtendedKeyUsageOID.SERVER_AUTH, YEAR, alternatives)


def client_certificate(authority: KeyPair, user: str, groups: Sequence[str]) -> KeyPair:
    """For a user in groups (CN and O)."""
    return _issue(authority, user, groups, ExtendedKeyUsageOID.CLIENT_AUTH, YEAR, ())


def _issue(
    authority: KeyPair,
    name: str,
    groups: Sequence[str],
    usage: x509.ObjectIdentifier,
    lifetime: timedelta,
    alternatives: Sequence[x509.GeneralName],
) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    issuer, issuer_key = load(authority)
    builder = (
        _builder(x509.Name(subject), issuer.subject, key.public_key(), lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


class BadRequest(ValueError):
    """A certificate signing request that cannot be served."""


KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
EXTENDED_USAGES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}
SUBJECT = (
    NameOID.COUNTRY_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.POSTAL_CODE,
    NameOID.COMMON_NAME,
    NameOID.SERIAL_NUMBER,
)
"""What Go's pkix.Name knows of a subject, in the order in which it writes it."""
BACKDATE = timedelta(minutes=5)
SHORT = timedelta(hours=8)


def sign_request(authority: KeyPair, request: bytes, usages: Collection[str], lifetime: timedelta) -> bytes:
    """A certificate (PEM) for a request (PEM), for usages as the certificates API names them. Raises BadRequest.

    After pkg/controller/certificates/authority: nothing of the request but its subject, key and alternative names is
    taken over; what lives eight hours or more ends as much earlier as it begins.
    """
    try:
        asked = x509.load_pem_x509_csr(request)
        if not asked.is_signature_valid:
            raise BadRequest("the request's signature is not valid")
        public = asked.public_key()
    except (ValueError, TypeError) as error:
        raise BadRequest(f"unable to parse csr: {error}") from error
    issuer, issuer_key = load(authority)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_go_name(asked.subject))
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + lifetime - (timedelta() if lifetime < SHORT else BACKDATE))
    )
    plain = {KEY_USAGES[usage] for usage in usages if usage in KEY_USAGES}
    if plain:
        builder = builder.add_extension(_usages(plain), critical=True)
    extended = dict.fromkeys(oid for usage, oid in EXTENDED_USAGES.items() if usage in usages)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
    )
    for extension in asked.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _go_name(subject: x509.Name) -> x509.Name:
    """A subject as Go writes it again: what it has several times, as groups, stands together."""
    found = (subject.get_attributes_for_oid(oid) for oid in SUBJECT)
    return x509.Name([x509.RelativeDistinguishedName(same) for same in found if same])


def load(pair: KeyPair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The parsed certificate and key. Raises ValueError for anything else."""
    key = serialization.load_pem_private_key(pair.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic curve key")
    return x509.load_pem_x509_certificate(pair.certificate), key


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)  # certificates are checked against the machine's time by clients, never the cluster's
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + lifetime)
    )


def _usage(sign: bool) -> x509.KeyUsage:
    return _usages(
        {"digital_signature", "key_cert_sign", "crl_sign"} if sign else {"digital_signature", "key_encipherment"}
    )


def _usages(names: Collection[str]) -> x509.KeyUsage:
    every = dict.fromkeys(KEY_USAGES.values(), False)
    agreement = {"key_agreement"} if {"encipher_only", "decipher_only"} & set(names) else set()
    return x509.KeyUsage(**{**every, **dict.fromkeys({*names, *agreement}, True)})


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_pair(pair: KeyPair, certificate: Path, key: Path) -> None:
    """Both files, the key readable by its owner only."""
    certificate.write_bytes(pair.certificate)
    key.touch(mode=0o600)
    key.write_bytes(pair.key)
