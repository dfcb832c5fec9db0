"""Who sends a request: tokens, client certificates; else nobody in particular.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kuartui.embedded.api.request import ANONYMOUS, FINGERPRINT, Request, User
from kuartui.embedded.auth.tokens import ISSUER, BadToken, TokenSigner
from kuartui.embedded.clock import Clock
from kuartui.embedded.meta.errors import unauthorized
from kuartui.embedded.store import Store

Obj = dict[str, Any]

AUTHENTICATED = "system:authenticated"
SERVICE_ACCOUNTS = "system:serviceaccounts"
CREDENTIAL = "authentication.kubernetes.io/credential-id"


class Authenticator:
    """Knows static tokens and the cluster's service accounts; of certificates, TLS has checked all but their time."""

    def __init__(self, store: Store, signer: TokenSigner, clock: Clock, tokens: Mapping[str, User]) -> None:
        self._store, self._signer, self._clock = store, signer, clock
        self._tokens = dict(tokens)

    def add_token(self, token: str, user: User) -> None:
        """Accept a static token from now on."""
        self._tokens[token] = user

    def authenticate(self, request: Request) -> User:
        """The sender. Raises 401 for credentials that are wrong; none at all means anonymous."""
        outdated = not _in_time(request.certificate or {})
        user = None if outdated else self._certificate_user(request.certificate)
        header = request.headers.get("authorization", "")
        if user is None and header[:7].lower() == "bearer ":
            user = self.token_user(header[7:].strip())
        if user is None and (header or outdated):
            raise unauthorized()
        return user or ANONYMOUS

    def token_user(self, token: str) -> User:
        """The owner of a bearer token that is meant for this API. Raises 401."""
        try:
            return self.review(token, (ISSUER,))[0]
        except BadToken as error:
            raise unauthorized() from error

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """The owner of a token, and which of the audiences it is meant for. Raises BadToken, or 401 if its owner is gone."""
        for known, user in self._tokens.items():
            if hmac.compare_digest(known.encode(), token.encode()) and ISSUER in audiences:
                return user, [ISSUER]
        claims = self._signer.verify(token, self._clock.now(), audiences)
        return self.account_user(claims), [word for word in audiences if word in claims["aud"]]

    def account_user(self, claims: Obj) -> User:
        """The service account of a token's claims, if it and what the token is bound to still exist."""
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        found = self._store.get("serviceaccounts", namespace, account["name"])
        if found is None or found.uid != account["uid"]:
            raise unauthorized()
        extra: dict[str, tuple[str, ...]] = {CREDENTIAL: (f"JTI={claims['jti']}",)}
        for kind in ("pod", "secret"):
            if kind in private:
                bound = self._store.get(f"{kind}s", namespace, private[kind]["name"])
                if bound is None or bound.uid != private[kind]["uid"]:
                    raise unauthorized()
                if kind == "pod":
                    extra["authentication.kubernetes.io/pod-name"] = (private[kind]["name"],)
                    extra["authentication.kubernetes.io/pod-uid"] = (private[kind]["uid"],)
        if "node" in private:
            extra["authentication.kubernetes.io/node-name"] = (private["node"]["name"],)
            extra["authentication.kubernetes.io/node-uid"] = (private["node"]["uid"],)
        return account_user(namespace, account["name"], account["uid"], extra)

    def _certificate_user(self, certificate: Mapping[str, Any] | None) -> User | None:
        if not certificate:
            return None
        names = [pair for part in certificate.get("subject", ()) for pair in part]
        name = next((value for key, value in names if key == "commonName"), "")
        groups = tuple(value for key, value in names if key == "organizationName")
        extra = {CREDENTIAL: (f"X509SHA256={certificate[FINGERPRINT]}",)} if FINGERPRINT in certificate else {}
        return User(name, (*groups, AUTHENTICATED), extra=extra) if name else None


def _in_time(certificate: Mapping[str, Any]) -> bool:
    """Whether it is valid today, by the machine's time, as clients check the server's."""
    now = datetime.now(UTC).timestamp()
    begins, ends = certificate.get("notBefore"), certificate.get("notAfter")
    if begins and now < ssl.cert_time_to_seconds(begins):
        return False
    return not ends or now <= ssl.cert_time_to_seconds(ends)


def account_user(namespace: str, name: str, uid: str = "", extra: Mapping[str, tuple[str, ...]] | None = None) -> User:
    """A service account as a user."""
    groups = (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra or {})
