"""Who issues service account tokens, as OpenID Connect tells relying parties.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson

from kuartui.embedded.api.request import Request, Response
from kuartui.embedded.auth.tokens import ISSUER, TokenSigner

CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"


def pages(signer: TokenSigner, address: str) -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """The two documents, by their path on the server at `address` ("https://127.0.0.1:6443")."""
    configuration = {
        "issuer": ISSUER,
        "jwks_uri": f"{address}{KEYS}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    keys = {"keys": [signer.public()]}

    async def configured(_: Request) -> Response:
        return Response(200, orjson.dumps(configuration))

    async def known_keys(_: Request) -> Response:
        return Response(200, orjson.dumps(keys), content_type="application/jwk-set+json")

    return {CONFIGURATION: configured, KEYS: known_keys}
