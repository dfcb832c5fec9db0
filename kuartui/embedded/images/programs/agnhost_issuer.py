"""agnhost test-service-account-issuer-discovery: check a token by what the cluster tells of its issuer.

After test/images/agnhost/openidmetadata: discovery at the issuer, its keys, the signature, issuer, audience and time.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.programs.api_client import ApiClient
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]


class _Refused(Exception):
    """The token does not stand; the text says why."""


async def issuer_discovery(process: Process) -> int:
    """test-service-account-issuer-discovery --token-path=FILE --audience=NAME."""
    options, _ = await parse(process, "", ("token-path=", "audience=", "in-cluster-discovery"))
    try:
        token = process.read(options.get("token-path", "")).decode().strip()
        await process.out("OK: Got token\n")
        claims = _part(token, 1)
        issuer = str(claims.get("iss"))
        await process.out(f"OK: got issuer {issuer}\nFull, not-validated claims: \n{json.dumps(claims)}\n")
        client = ApiClient(process)
        told = await _get(client, f"{urlsplit(issuer).path}/.well-known/openid-configuration")
        if told.get("issuer") != issuer:
            raise _Refused(f"oidc: issuer did not match: expected {issuer!r} got {told.get('issuer')!r}")
        await process.out(f"OK: Constructed OIDC provider for issuer {issuer}\n")
        keys = await _get(client, urlsplit(told.get("jwks_uri", "")).path)
        _check_signature(token, keys.get("keys") or [])
        await process.out("OK: Validated signature on JWT\n")
        _check_claims(claims, options.get("audience", ""), process.clock.now().timestamp())
        await process.out(f"OK: Got valid claims from token!\nFull, validated claims: \n{json.dumps(claims)}\n")
    except (OSError, ValueError, _Refused) as error:
        await process.err(f"{error}\n")
        return 1
    return 0


async def _get(client: ApiClient, path: str) -> Obj:
    answer = await client.call("GET", path)
    if not answer.ok:
        raise _Refused(f"{path}: {answer.text}")
    return answer.body


def _part(token: str, index: int) -> Obj:
    """A decoded part of a token. Raises _Refused."""
    parts = token.split(".")
    if len(parts) != 3:
        raise _Refused("oidc: malformed jwt")
    value: Obj = json.loads(_decode(parts[index]))
    return value


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _check_signature(token: str, keys: list[Obj]) -> None:
    """Raises _Refused."""
    head, (signed, _, signature) = _part(token, 0), token.rpartition(".")
    key = next((one for one in keys if one.get("kid") == head.get("kid") and one.get("kty") == "EC"), None)
    if key is None:
        raise _Refused("failed to verify signature: failed to verify id token signature")
    x, y = (int.from_bytes(_decode(key[name])) for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = _decode(signature)
    try:
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        public.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise _Refused("failed to verify signature: failed to verify id token signature") from error


def _check_claims(claims: Obj, audience: str, now: float) -> None:
    """Raises _Refused."""
    meant = claims.get("aud") or []
    if audience not in ([meant] if isinstance(meant, str) else meant):
        raise _Refused(f'oidc: expected audience "{audience}" got {json.dumps(meant)}')
    if claims.get("exp", 0) < now:
        raise _Refused("oidc: token is expired")
