"""A small asynchronous Kubernetes client: plain JSON in and out, over aiohttp.

Ours, because the official client takes 0.75 s and 51 MB to import and checks want objects as they are on the wire.
aiohttp, because it speaks HTTP, streams and web sockets in one maintained library; it is imported when the first
client is made. Network failures become ClusterError, answers that are not a success ApiError, here and only here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from kuartui.cluster import aiohttp_quickly
from kuartui.cluster.access import Access, plugin_command, read_access, single_line
from kuartui.cluster.resources import Resource, from_discovery, known, known_kinds, segment, straight
from kuartui.errors import ApiError, ClusterError, NoKindError, did_you_mean
from kuartui.message import Message, later

if TYPE_CHECKING:
    import aiohttp

    from kuartui.cluster.fence import Fence

Obj = dict[str, Any]
Propagation = Literal["Background", "Foreground", "Orphan"]

MANAGER = "kuartui"
STRICT = {"fieldValidation": "Strict"}  # a field that the kind does not have is an error, as for kubectl apply
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
TIMEOUT = 30.0  # seconds for one answer, streams excepted
PLUGIN_TIMEOUT = 30.0  # seconds that a credential plugin may take
READ_TIMEOUT = 75.0  # seconds of silence on a stream
LARGEST = 2**28  # bytes of one answer, unpacked: all Pods of the largest clusters that Kubernetes is made for
LARGEST_COMPLAINT = 2**20
LONGEST_COMPLAINT = 2000  # characters
MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Listing:
    items: list[Obj]
    resource_version: str


class Api:
    """One identity at one API server. `async with Api.open(kubeconfig) as api: …`, or call `close()`."""

    def __init__(self, access: Access) -> None:
        aiohttp_quickly.load()
        self.access = access
        self._session: aiohttp.ClientSession | None = None
        self._discovered: dict[tuple[str, str], Resource] | None = None
        self._token = access.token
        self.fence: Fence | None = None
        self.asked = 0  # requests and commands so far
        self.expired = False  # whether the server does not know (any more) who we are

    @classmethod
    def open(cls, kubeconfig: Path, context: str = "") -> Api:
        return cls(read_access(kubeconfig, context))

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # --- one request --------------------------------------------------------------------------------------------

    async def session(self) -> aiohttp.ClientSession:
        """The connection pool, made on first use."""
        if self._session is None or self._session.closed:
            import aiohttp

            if self.access.plugin and not self._token:
                self._token = await self._ask_plugin()
            headers = {"User-Agent": MANAGER, "Accept": "application/json"}
            if self._token:
                headers["Authorization"] = f"Bearer {self._token}"
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                trace_configs=[_staying()],
                headers=headers,
                json_serialize=lambda data: orjson.dumps(data).decode(),
                timeout=aiohttp.ClientTimeout(total=None, connect=10, sock_read=READ_TIMEOUT),
                auto_decompress=True,
                trust_env=not self.access.is_loopback,
                read_bufsize=2**20,
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        import aiohttp

        if self.access.socket:
            return aiohttp.UnixConnector(self.access.socket, limit=0)
        return aiohttp.TCPConnector(ssl=self.access.tls() or False, limit=0)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "",
        accept: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer whose body is still to be read; ApiError when it is not a success."""
        import aiohttp

        straight(path)
        if self.fence is not None:
            await self.fence.check(method, path, params or {}, body, self.glimpse)
        session = await self.session()
        self.asked += 1
        headers = {"Content-Type": content_type or "application/json"} if body is not None else {}
        headers |= {"Accept": accept} if accept else {}
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        try:
            async with session.request(
                method,
                self.access.base + path,
                params=params,
                data=data,
                headers=headers,
                server_hostname=self.access.server_name or None,
                allow_redirects=False,
            ) as response:
                if response.status >= 400:
                    self.expired = self.expired or response.status == 401
                    async with asyncio.timeout(TIMEOUT):
                        raise _failure(response.status, await whole(response, LARGEST_COMPLAINT))
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise unreachable(self.access, error) from error

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "",
        timeout: float = TIMEOUT,
    ) -> Any:
        """The decoded JSON answer; text for a body that is not JSON."""
        raw = await self._raw(method, path, params=params, body=body, content_type=content_type, timeout=timeout)
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            return raw.decode(errors="replace")

    async def _raw(
        self, method: str, path: str, *, params: dict[str, str] | None, body: Any, content_type: str, timeout: float
    ) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                async with self.stream(method, path, params=params, body=body, content_type=content_type) as response:
                    return await whole(response)
        except TimeoutError as error:
            raise ClusterError(
                later("{server} did not answer within {timeout:g} s", server=self.access.server, timeout=timeout)
            ) from error

    async def glimpse(self, path: str, **params: str) -> Obj | None:
        """An object by its path; None when there is none."""
        try:
            return await self.get(path, **params)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def get(self, path: str, **params: str) -> Obj:
        """GET any path; the answer must be a JSON object."""
        return await self.object("GET", path, params=params)

    async def object(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "",
    ) -> Obj:
        """A request whose answer must be a JSON object."""
        answer = await self.request(method, path, params=params, body=body, content_type=content_type)
        if not isinstance(answer, dict):
            raise ClusterError(
                later("{server}{path} answered something that is not JSON", server=self.access.server, path=path)
            )
        return answer

    # --- kinds --------------------------------------------------------------------------------------------------

    async def resource(self, kind: str, api_version: str = "") -> Resource:
        """Where a kind is served. ClusterError when this cluster has no such kind."""
        found = known(kind, api_version)
        if found is not None:
            return found
        if self._discovered is None:
            self._discovered = await self._discover()
        found = self._discovered.get((kind, api_version))
        if found is None:
            elsewhere = self._discovered.get((kind, ""))
            if elsewhere is not None:
                there = later("; {kind} is in {version}", kind=kind, version=elsewhere.api_version)
                raise no_kind(kind, api_version, there)
            guess = did_you_mean(kind, {*known_kinds(), *(other for other, _ in self._discovered)} - {kind})
            raise no_kind(kind, api_version, guess)
        return found

    def forget_kinds(self) -> None:
        """Discover anew at the next unknown kind, after a CustomResourceDefinition came."""
        self._discovered = None

    async def _discover(self) -> dict[tuple[str, str], Resource]:
        found: dict[tuple[str, str], Resource] = {}
        session = await self.session()
        session.headers["Accept"] = DISCOVERY
        try:
            for path in ("/api", "/apis"):
                for resource in self._kinds(await self.get(path)):
                    found.setdefault((resource.kind, ""), resource)
                    found[(resource.kind, resource.api_version)] = resource
        finally:
            session.headers["Accept"] = "application/json"
        return found

    def _kinds(self, document: Obj, verb: str = "") -> list[Resource]:
        try:
            return from_discovery(document, verb)
        except (LookupError, TypeError, AttributeError) as error:
            raise self._nonsense(later("what kinds there are")) from error

    def _nonsense(self, what: str) -> ClusterError:
        return ClusterError(
            later("asked for {what}, {server} gave an answer that makes no sense", what=what, server=self.access.server)
        )

    async def listable(self) -> list[Resource]:
        """Every kind that can be listed, once, in the version that the server prefers."""
        session = await self.session()
        session.headers["Accept"] = DISCOVERY
        try:
            documents = [await self.get("/api"), await self.get("/apis")]
        finally:
            session.headers["Accept"] = "application/json"
        found: dict[tuple[str, str], Resource] = {}
        for document in documents:
            for resource in self._kinds(document, verb="list"):
                found.setdefault((resource.group, resource.kind), resource)
        return [*found.values()]

    # --- objects ------------------------------------------------------------------------------------------------

    async def read(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """The object, None when there is none."""
        try:
            return await self.get(resource.path(namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def list(
        self, resource: Resource, namespace: str = "", *, selector: str = "", field_selector: str = "", limit: int = 0
    ) -> Listing:
        """All objects, page by page if the server wants it so; namespace "" is all namespaces."""
        params = {"labelSelector": selector, "fieldSelector": field_selector, "limit": str(limit) if limit else ""}
        params = {key: value for key, value in params.items() if value}
        items: list[Obj] = []
        same = {"apiVersion": resource.api_version, "kind": resource.kind}  # the items of a list leave it out
        for _ in range(MOST_PAGES):
            page = await self.get(resource.path(namespace), **params)
            metadata, found = page.get("metadata") or {}, page.get("items") or []
            if not isinstance(metadata, dict) or not isinstance(found, list) or not all(map(_is_object, found)):
                raise self._nonsense(resource.group_resource)
            items.extend({**same, **item} for item in found)
            more = str(metadata.get("continue") or "")
            if limit or not more:
                return Listing(items, str(metadata.get("resourceVersion", "")))
            if params.get("continue") == more:  # the same page again, for ever
                break
            params["continue"] = more
        raise self._nonsense(resource.group_resource)

    async def create(
        self, resource: Resource, obj: Obj, *, namespace: str = "", dry_run: bool = False, strict: bool = False
    ) -> Obj:
        """Create it; ApiError when the server refuses, and if `strict` also for a field that its kind does not have."""
        place = namespace or obj.get("metadata", {}).get("namespace", "")
        params = {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {}), **(STRICT if strict else {})}
        return await self.object("POST", resource.path(place), params=params, body=obj)

    async def apply(self, resource: Resource, obj: Obj, *, force: bool = True) -> Obj:
        """Server-side apply under our field manager."""
        metadata = obj["metadata"]
        return await self.object(
            "PATCH",
            resource.path(metadata.get("namespace", ""), metadata["name"]),
            params={"fieldManager": MANAGER, "force": "true" if force else "false"},
            body=obj,
            content_type=APPLY_PATCH,
        )

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        *,
        content_type: str = MERGE_PATCH,
        subresource: str = "",
    ) -> Obj:
        return await self.object(
            "PATCH",
            resource.path(namespace, name, subresource),
            params={"fieldManager": MANAGER},
            body=patch,
            content_type=content_type,
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        propagation: Propagation = "Background",
        uid: str = "",
        grace: int | None = None,
    ) -> bool:
        """False when there was nothing to delete (or, with `uid`, something else by now)."""
        options: Obj = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self.request("DELETE", resource.path(namespace, name), body=options)
        except ApiError as error:
            if error.code == 404 or (uid and error.code == 409):
                return False
            raise
        return True

    async def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str = "",
        since: int = 0,
        tail: int = 0,
        previous: bool = False,
        timestamps: bool = False,
        limit: int = 2**20,
    ) -> str:
        """The log of a container, at most `limit` bytes of it."""
        params = {"limitBytes": str(limit)}
        for key, value in (("container", container), ("sinceSeconds", since), ("tailLines", tail)):
            if value:
                params[key] = str(value)
        params |= {"previous": "true"} if previous else {}
        params |= {"timestamps": "true"} if timestamps else {}
        path = f"/api/v1/namespaces/{segment(namespace)}/pods/{segment(pod)}/log"
        raw = await self._raw("GET", path, params=params, body=None, content_type="", timeout=TIMEOUT)
        return raw.decode(errors="replace")

    async def allowed(self, user: str, groups: tuple[str, ...], attributes: Obj) -> bool:
        """SubjectAccessReview: may they? `attributes` are resourceAttributes."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": list(groups), "resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        status = (await self.object("POST", path, body=review)).get("status")
        if not isinstance(status, dict):
            raise self._nonsense(later("who may do what"))
        return status.get("allowed") is True

    async def _ask_plugin(self) -> str:
        command, environment = plugin_command(self.access)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **environment},
                stdin=asyncio.subprocess.DEVNULL,  # what is typed is the player's, and goes to the screen
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            try:
                output, complaint = await asyncio.wait_for(process.communicate(), PLUGIN_TIMEOUT)
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(
                later(
                    "the credential plugin {command} of context {context} failed",
                    command=command[0],
                    context=self.access.context,
                )
            ) from error
        try:
            return single_line(str(orjson.loads(output)["status"]["token"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            said = complaint.decode(errors="replace").strip().splitlines()
            raise ClusterError(
                later(
                    "the credential plugin {command} gave no token: {said}",
                    command=command[0],
                    said=said[-1][:LONGEST_COMPLAINT] if said else "",
                )
            ) from error


def _staying() -> aiohttp.TraceConfig:
    """Follows no redirect: a web socket, too, is opened where the kubeconfig says, or nowhere."""
    import aiohttp

    async def refuse(_session: object, _context: object, _redirect: object) -> None:
        raise aiohttp.ClientError("the answer leads elsewhere")

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    return config


def unreachable(access: Access, error: BaseException) -> ClusterError:
    """The one sentence for a server that cannot be talked to."""
    import ssl  # at start-up nobody needs it

    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    number = getattr(cause, "errno", None)
    if isinstance(cause, TimeoutError):
        why = later("it does not answer")
    elif isinstance(cause, ssl.SSLError):
        said = getattr(cause, "verify_message", "") or (cause.reason or "TLS").replace("_", " ").lower()
        why = later("no secure connection: {said}", said=said)
    elif number:
        why = Message(os.strerror(number).lower(), {})
    elif hasattr(error, "os_error"):
        why = later("the connection was closed at once")
    else:
        why = Message((str(error) or type(error).__name__).lower(), {})
    return ClusterError(
        later("cannot reach the cluster at {server}: {why}", server=access.server, why=why),
        hint="kuartui cluster status",
    )


def no_kind(kind: str, api_version: str = "", guess: str = "") -> NoKindError:
    """That a cluster does not serve this kind, in this version if one is given."""
    name = f"{kind} ({api_version})" if api_version else kind
    return NoKindError(later("this cluster has no kind {name}{guess}", name=name, guess=guess))


async def whole(response: aiohttp.ClientResponse, limit: int = LARGEST) -> bytes:
    """The body of an answer. ClusterError as soon as it is more than `limit` bytes, unpacked."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise ClusterError(
                later("{server} answers with more than {mib} MiB", server=response.url.origin(), mib=limit // 2**20)
            )
    return bytes(body)


def _is_object(item: Any) -> bool:
    """Whether it can be told from others."""
    return isinstance(item, dict) and isinstance(item.get("metadata"), dict)


def _failure(code: int, body: bytes) -> ApiError:
    try:
        status = orjson.loads(body)
        message, reason = str(status["message"])[:LONGEST_COMPLAINT], str(status.get("reason", ""))[:100]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        message, reason = body.decode(errors="replace").strip()[:300] or f"HTTP {code}", ""
    return ApiError(message, code=code, reason=reason)
