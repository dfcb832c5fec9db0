"""Certificates and keys that do not belong together, in Go's words."""

from __future__ import annotations

import pytest

from kuartui.embedded.auth.pki import client_certificate, new_authority, new_key
from kuartui.embedded.kinds.tls_pair import complaint

AUTHORITY = new_authority()
PAIR = client_certificate(AUTHORITY, "jane", ())


@pytest.mark.parametrize(
    ("certificate", "key", "why"),
    [
        (PAIR.certificate, PAIR.key, ""),
        (PAIR.certificate + AUTHORITY.certificate, PAIR.key, ""),
        (b"nonsense", PAIR.key, "tls: failed to find any PEM data in certificate input"),
        (PAIR.certificate, b"", "tls: failed to find any PEM data in key input"),
        (
            PAIR.certificate,
            PAIR.certificate,
            "tls: found a certificate rather than a key in the PEM for the private key",
        ),
        (
            PAIR.key,
            PAIR.certificate,
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may "
            "have been switched",
        ),
        (PAIR.certificate, new_key(), "tls: private key does not match public key"),
        (
            PAIR.certificate,
            b"-----BEGIN PRIVATE KEY-----\nZm9v\n-----END PRIVATE KEY-----\n",
            "tls: failed to parse private key",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n",
            PAIR.key,
            "x509: malformed certificate",
        ),
    ],
)
def test_complaints(certificate: bytes, key: bytes, why: str) -> None:
    assert complaint(certificate, key) == why
