"""Whether a certificate and a key belong together, in the words of Go's crypto/tls (X509KeyPair)."""

from __future__ import annotations

import base64
import binascii
import re

_BLOCK = re.compile(rb"-----BEGIN ([^\n]*?)-----\s*\n(.*?)-----END \1-----", re.S)
_KEY = "PRIVATE KEY"


def complaint(certificate: bytes, key: bytes) -> str:
    """What is wrong with a pair, both PEM; empty for nothing."""
    chain, skipped = [], []
    for kind, body in _blocks(certificate):
        if kind == "CERTIFICATE":
            chain.append(body)
        else:
            skipped.append(kind)
    if not chain:
        return _no_certificate(skipped)
    skipped = []
    for kind, body in _blocks(key):
        if kind == _KEY or kind.endswith(f" {_KEY}"):
            return _mismatch(chain[0], body)
        skipped.append(kind)
    if not skipped:
        return "tls: failed to find any PEM data in key input"
    if skipped == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    return (
        f'tls: failed to find PEM block with type ending in "{_KEY}" in key input after skipping PEM blocks of the '
        f"following types: [{' '.join(skipped)}]"
    )


def _no_certificate(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in certificate input"
    if len(skipped) == 1 and skipped[0].endswith(_KEY):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may "
            "have been switched"
        )
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following '
        f"types: [{' '.join(skipped)}]"
    )


def _blocks(text: bytes) -> list[tuple[str, bytes]]:
    """Types and contents (DER) of PEM blocks."""
    found = []
    for kind, body in _BLOCK.findall(text):
        lines = body.strip().splitlines()
        while lines and b":" in lines[0]:  # headers
            lines.pop(0)
        try:
            found.append((kind.decode("latin-1"), base64.b64decode(b"".join(lines), validate=True)))
        except binascii.Error:
            continue
    return found


def _mismatch(certificate: bytes, key: bytes) -> str:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError:
        return "x509: malformed certificate"
    try:
        private = serialization.load_der_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    if type(private.public_key()) is not type(public):
        return "tls: private key type does not match public key type"
    return "" if private.public_key() == public else "tls: private key does not match public key"
