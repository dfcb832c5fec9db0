"""An API server without connections: requests go straight to the dispatcher."""

from __future__ import annotations

from typing import Any

import orjson

from kuartui.embedded.admission.base import Chain, Plugin
from kuartui.embedded.api.dispatch import Dispatcher
from kuartui.embedded.api.http import failure
from kuartui.embedded.api.request import Request, Response, User, parse_query
from kuartui.embedded.api.resources import Endpoint, Resources
from kuartui.embedded.api.rest import Rest
from kuartui.embedded.api.subresources.eviction import Evictions
from kuartui.embedded.auth.authentication import Authenticator
from kuartui.embedded.auth.pki import new_key
from kuartui.embedded.auth.rbac import Authorizer
from kuartui.embedded.auth.reviews import Reviews
from kuartui.embedded.auth.tokens import TokenSigner
from kuartui.embedded.clock import FastClock
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import Store

Obj = dict[str, Any]

KEY = new_key()
ADMIN = User("admin", ("system:masters", "system:authenticated"))


class Server:
    """Answers as one user (the administrator unless told otherwise)."""

    def __init__(self, *plugins: Plugin, store: Store | None = None) -> None:
        self.clock = FastClock()
        self.store = store or Store()
        self.resources = Resources()
        self.signer = TokenSigner(KEY)
        self.authenticator = Authenticator(self.store, self.signer, self.clock, {"admin-token": ADMIN})
        self.authorizer = Authorizer(self.store)
        self.rest = Rest(self.store, self.resources, self.clock, Chain(plugins))
        self.reviews = Reviews(self.authenticator, self.authorizer, self.clock)
        self.dispatcher = Dispatcher(self.rest, self.authenticator, self.authorizer, "127.0.0.1:1", self._subresource)

    async def _subresource(self, request: Request, endpoint: Endpoint) -> Response | None:
        if (endpoint.resource.name, request.info.subresource) == ("pods", "eviction"):
            return await Evictions(self.rest, self.dispatcher.write).evict(request, endpoint)
        return await self.reviews.answer(request, endpoint)

    async def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Response:
        """The answer; failures are answers, too. Header names with _ for -."""
        path, _, query = target.partition("?")
        found = {name.replace("_", "-"): value for name, value in headers.items()}
        found.setdefault("authorization", "Bearer admin-token")
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        request = Request(method, path, parse_query(query), found, raw, query)
        try:
            response = await self.dispatcher.handle(request)
        except StatusError as error:
            response = failure(error)
        response.headers += [("Warning", warning) for warning in request.warnings]
        return response

    async def json(self, method: str, target: str, body: Any = None, code: int = 0, **headers: str) -> Obj:
        """The body of an answer, whose status must be `code` (or any success)."""
        response = await self.ask(method, target, body, **headers)
        value: Obj = orjson.loads(response.body)
        assert response.status == code if code else response.status < 300, value
        return value

    async def lines(self, target: str, count: int) -> list[Obj]:
        """The first events of a watch."""
        response = await self.ask("GET", target)
        assert response.stream is not None, response.body
        found: list[Obj] = []
        async for chunk in response.stream:
            found += [orjson.loads(line) for line in chunk.splitlines() if line]
            if len(found) >= count:
                break
        await response.stream.aclose()  # type: ignore[attr-defined]
        return found

    async def config_map(
        self, name: str, namespace: str = "default", labels: dict[str, str] | None = None, **data: str
    ) -> Obj:
        """Create a ConfigMap."""
        metadata: Obj = {"name": name} | ({"labels": labels} if labels else {})
        return await self.json(
            "POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": metadata, "data": data}
        )
