"""Service account tokens: JWTs signed by the cluster (ES256), as TokenRequest gives them out.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

Obj = dict[str, Any]

ISSUER = "https://kubernetes.default.svc.cluster.local"
UNREADABLE = "invalid bearer token"
LEEWAY = 10.0  # seconds
WARN_ONLY = 3607  # seconds, as ServiceAccount admission asks for; who goes on with such a token is only warned of
EXTENDED = 365 * 24 * 3600  # seconds, for how long it is good (--service-account-extend-token-expiration)


class BadToken(ValueError):
    """Not a valid token of this cluster; the text says why."""


class TokenSigner:
    """Signs and checks tokens with one key."""

    def __init__(self, key: bytes) -> None:
        loaded = serialization.load_pem_private_key(key, None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError("not an elliptic curve key")
        self._key = loaded
        self._numbers = loaded.public_key().public_numbers()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = loaded.public_key().public_bytes(serialization.Encoding.DER, form)
        self._id = _encode(hashlib.sha256(public).digest())

    def public(self) -> Obj:
        """The key that the tokens can be checked with, as a JSON Web Key (RFC 7517)."""
        x, y = (_encode(number.to_bytes(32)) for number in (self._numbers.x, self._numbers.y))
        return {"use": "sig", "kty": "EC", "kid": self._id, "crv": "P-256", "alg": "ES256", "x": x, "y": y}

    def sign(
        self,
        account: Obj,
        now: datetime,
        seconds: int,
        audiences: Sequence[str] = (),
        bound: Obj | None = None,
        node: Obj | None = None,
    ) -> str:
        """A token for a ServiceAccount object, maybe bound to a pod or secret: {kind, name, uid}."""
        metadata = account["metadata"]
        private: Obj = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if bound:
            private[bound["kind"].lower()] = {"name": bound["name"], "uid": bound["uid"]}
        if node:
            private["node"] = node
        issued = int(now.timestamp())
        if seconds == WARN_ONLY and bound and bound["kind"] == "Pod" and set(audiences) <= {ISSUER}:
            private["warnafter"] = issued + seconds
            seconds = EXTENDED
        claims = {
            "aud": list(audiences) or [ISSUER],
            "exp": issued + seconds,
            "iat": issued,
            "iss": ISSUER,
            "jti": _token_id(account, issued, bound),
            "kubernetes.io": private,
            "nbf": issued,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        head = _encode(orjson.dumps({"alg": "ES256", "kid": self._id}))
        body = f"{head}.{_encode(orjson.dumps(claims))}"
        r, s = decode_dss_signature(self._key.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{body}.{_encode(r.to_bytes(32) + s.to_bytes(32))}"

    def verify(self, token: str, now: datetime, audiences: Sequence[str] = (ISSUER,)) -> Obj:
        """The claims of a token that is meant for one of the audiences. Raises BadToken."""
        body, _, signature = token.rpartition(".")
        try:
            raw = _decode(signature)
            der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
            self._key.public_key().verify(der, body.encode(), ec.ECDSA(hashes.SHA256()))
            claims = orjson.loads(_decode(body.partition(".")[2]))
        except (ValueError, InvalidSignature) as error:
            raise BadToken(UNREADABLE) from error
        if not isinstance(claims, dict) or claims.get("iss") != ISSUER:
            raise BadToken(UNREADABLE)
        if claims.get("exp", 0) + LEEWAY < now.timestamp():
            raise BadToken("service account token has expired")
        meant = claims.get("aud") or []
        if not set(meant) & set(audiences):
            raise BadToken(f"token audiences {_quoted(meant)} is invalid for the target audiences {_quoted(audiences)}")
        return claims


def _quoted(words: Sequence[str]) -> str:
    """Go's %q of a list."""
    return "[" + " ".join(f'"{word}"' for word in words) + "]"


def _token_id(account: Obj, issued: int, bound: Obj | None) -> str:
    import uuid

    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{account['metadata']['uid']}:{issued}:{bound}"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
