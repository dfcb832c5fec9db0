"""pods/log, exec, attach, portforward and binding: what reaches a container, or decides where it runs.

kubernetes/pkg/registry/core/pod/strategy.go (LogLocation, ExecLocation, validateContainer) and rest/subresources.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kuartui.embedded.api import bodies
from kuartui.embedded.api.binding import bind
from kuartui.embedded.api.request import Request, Response, json_response
from kuartui.embedded.api.resources import Endpoint
from kuartui.embedded.api.rest import Rest, Write
from kuartui.embedded.api.streams import portforward, remotecommand, spdy_channels
from kuartui.embedded.api.streams.remotecommand import ERROR, STDERR, STDIN, STDOUT
from kuartui.embedded.api.streams.websocket import Duplex, StreamSocket
from kuartui.embedded.meta import errors, fielderr, schema
from kuartui.embedded.meta.errors import StatusError, bad_request
from kuartui.embedded.meta.time import parse_time
from kuartui.embedded.network import Stream

if TYPE_CHECKING:
    from kuartui.embedded.api.subresources import KubeletApi
    from kuartui.embedded.node.logs import LogOptions
    from kuartui.embedded.node.runtime import ExecIO

Obj = dict[str, Any]

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
KUBELET_PORT = 10250
TEXT = "text/plain"


class PodSubresources:
    """Serves them by way of the kubelets."""

    def __init__(self, rest: Rest, kubelets: KubeletApi, write: Callable[[Request], Write]) -> None:
        self._rest, self._kubelets, self._write = rest, kubelets, write

    # Logs

    async def log(self, request: Request, endpoint: Endpoint) -> Response:
        """GET log: text, as it comes when it is followed."""
        from kuartui.embedded.node.fleet import NodeUnreachable, NoSuchContainer
        from kuartui.embedded.node.logs import NoLog

        pod = self._rest.get(endpoint, request.info.namespace, request.info.name).data
        options = self._log_options(request)
        container = choose_container(pod, request.param("container"))
        if not pod["spec"].get("nodeName"):
            return Response(200, content_type=TEXT)
        try:
            lines = await self._kubelets.logs(pod, container, options)
        except NoLog as error:
            raise bad_request(str(error)) from error
        except NoSuchContainer as error:
            raise errors.not_found("pods", request.info.name) from error
        except NodeUnreachable as error:
            where = f"containerLogs/{request.info.namespace}/{request.info.name}/{container}"
            raise StatusError(500, "", f'Get "{_kubelet_url(pod, where)}": {error}') from error
        if options.follow:
            return Response(200, content_type=TEXT, stream=lines)
        return Response(200, b"".join([line async for line in lines]), TEXT)

    def _log_options(self, request: Request) -> LogOptions:
        from kuartui.embedded.node.logs import LogOptions

        problems = []
        tail = _number(request, "tailLines")
        limit = _number(request, "limitBytes")
        seconds = _number(request, "sinceSeconds")
        if tail is not None and tail < 0:
            problems.append(fielderr.invalid("tailLines", tail, "must be greater than or equal to 0"))
        if limit is not None and limit < 1:
            problems.append(fielderr.invalid("limitBytes", limit, "must be greater than 0"))
        if seconds is not None and request.param("sinceTime"):  # an empty path, as Go prints it
            problems.append(fielderr.forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
        elif seconds is not None and seconds < 1:
            problems.append(fielderr.invalid("sinceSeconds", seconds, "must be greater than 0"))
        if problems:
            raise errors.invalid("", "PodLogOptions", request.info.name, problems)
        since = self._rest.clock.now() - timedelta(seconds=seconds) if seconds is not None else None
        if request.param("sinceTime"):
            try:
                since = parse_time(request.param("sinceTime"))
            except ValueError as error:
                raise bad_request(str(error)) from error
        return LogOptions(
            previous=request.flag("previous"),
            follow=request.flag("follow"),
            timestamps=request.flag("timestamps"),
            tail=tail,
            since=since,
            limit=limit,
            stream=request.param("stream", "All"),
        )

    # Streams

    async def needs_upgrade(self, request: Request, endpoint: Endpoint) -> Response:
        """A plain request for a stream: say what is wrong, if only that it is no upgrade."""
        self.target(request, endpoint)
        raise bad_request("Upgrade request required")

    def target(self, request: Request, endpoint: Endpoint) -> tuple[Obj, str]:
        """The pod and container that a stream is for. Raises 400 and 404."""
        pod = self._rest.get(endpoint, request.info.namespace, request.info.name).data
        container = ""
        if request.info.subresource != "portforward":
            container = choose_container(pod, request.param("container"))
        if not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {request.info.name} does not have a host assigned")
        if request.info.subresource == "exec" and not request.query.get("command"):
            raise errors.invalid("", "PodExecOptions", "", [fielderr.required("command")])
        return pod, container

    async def stream(self, request: Request, endpoint: Endpoint, socket: StreamSocket) -> None:
        """Serve the stream of an admitted request. Raises StatusError before it is accepted."""
        pod, container = self.target(request, endpoint)
        kind = request.info.subresource
        known = portforward.PROTOCOLS if kind == "portforward" else remotecommand.PROTOCOLS
        if socket.upgraded and kind != "portforward":
            known = spdy_channels.PROTOCOLS
        protocol = next((one for one in socket.protocols if one in known), "")
        if not protocol and socket.protocols:
            raise bad_request(f"unable to upgrade: none of the requested protocols {socket.protocols} is known")
        if kind == "portforward":
            await self._forward(request, pod, socket, protocol)
            return
        await socket.accept(protocol)
        stdin, stderr, tty = (request.flag(name) for name in ("stdin", "stderr", "tty"))
        channels: Duplex = socket
        if socket.upgraded:
            asked = [(True, ERROR), (stdin, STDIN), (request.flag("stdout"), STDOUT), (stderr and not tty, STDERR)]
            over_spdy = spdy_channels.SpdyChannels(socket)
            await over_spdy.open({channel for wanted, channel in asked if wanted})
            channels, protocol = over_spdy, remotecommand.V5  # half-closed streams are its closed channels
        run = self._command(request, pod, container)
        await remotecommand.serve(channels, protocol, run, stdin=stdin, stderr=stderr, tty=tty)

    def _command(self, request: Request, pod: Obj, container: str) -> remotecommand.Run:
        argv = request.query.get("command", [])
        attach = request.info.subresource == "attach"

        async def run(io: ExecIO) -> int:
            from kuartui.embedded.node.fleet import NodeUnreachable, NoSuchContainer
            from kuartui.embedded.node.runtime import ExecError

            try:
                if attach:
                    await self._kubelets.attach(pod, container, io)
                    return 0
                return await self._kubelets.exec(pod, container, argv, io)
            except NodeUnreachable as error:
                place = _stream_url(request, pod, container)
                raise remotecommand.CommandFailed(f'error sending request: Post "{place}": {error}') from error
            except NoSuchContainer as error:
                raise remotecommand.CommandFailed(f"unable to upgrade connection: {error}") from error
            except ExecError as error:
                text = f"error executing command in container: failed to exec in container: {error}"
                raise remotecommand.CommandFailed(text) from error

        return run

    async def _forward(self, request: Request, pod: Obj, socket: StreamSocket, protocol: str) -> None:
        connect = self.connector(pod)
        if protocol == portforward.TUNNEL or socket.upgraded:
            await socket.accept(protocol)
            await portforward.SpdySession(socket, connect).run()
            return
        ports = [int(port) for value in request.query.get("ports", []) for port in value.split(",") if port.isdigit()]
        if not ports:
            raise bad_request('query parameter "port" is required')
        await socket.accept(protocol)
        await portforward.serve_channels(socket, ports, connect)

    def connector(self, pod: Obj) -> Callable[[int], Awaitable[Stream]]:
        """Opens connections to a pod's ports; what goes wrong is an OSError with the text for the client."""
        from kuartui.embedded.node.fleet import NodeUnreachable, NoSuchContainer

        sandbox = pod["metadata"]["uid"].replace("-", "") * 2

        async def connect(port: int) -> Stream:
            try:
                return await self._kubelets.port_forward(pod, port)
            except (OSError, NodeUnreachable, NoSuchContainer) as error:
                text = f"error forwarding port {port} to pod {sandbox}, uid : {error}"
                raise ConnectionRefusedError(text) from error

        return connect

    # Binding

    async def bind(self, request: Request, endpoint: Endpoint) -> Response:
        """POST binding: the scheduler's decision."""
        node = schema.for_kind("", "v1", "Binding") or endpoint.node
        binding = bodies.read_object(request, endpoint, "Binding", node)
        name = request.info.name or binding.get("metadata", {}).get("name", "")
        wrong = binding_errors(binding.get("target") or {})
        if wrong:
            raise errors.invalid("", "Binding", name, wrong)
        await bind(self._rest, request.info.namespace, name, binding, self._write(request))
        return json_response(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201
        )


def binding_errors(target: Obj) -> list[fielderr.FieldError]:
    """A pod can be bound to a node only (ValidatePodBinding)."""
    wrong = []
    if target.get("kind") not in (None, "", "Node"):
        wrong.append(fielderr.not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        wrong.append(fielderr.required("target.name"))
    return wrong


def choose_container(pod: Obj, name: str) -> str:
    """The container meant by `name` or its absence. Raises 400."""
    spec, metadata = pod["spec"], pod["metadata"]
    regular = [one["name"] for one in spec.get("containers") or ()]
    init = [one["name"] for one in spec.get("initContainers") or ()]
    ephemeral = [one["name"] for one in spec.get("ephemeralContainers") or ()]
    if name:
        if name not in (*regular, *init, *ephemeral):
            raise bad_request(f"container {name} is not valid for pod {metadata['name']}")
        return name
    default: str = (metadata.get("annotations") or {}).get(DEFAULT_CONTAINER, "")
    if default in regular:
        return default
    if len(regular) == 1:
        return str(regular[0])
    text = f"a container name must be specified for pod {metadata['name']}, choose one of: [{' '.join(regular)}]"
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    raise bad_request(text)


def _number(request: Request, name: str) -> int | None:
    text = request.param(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _kubelet_url(pod: Obj, where: str) -> str:
    host = pod.get("status", {}).get("hostIP", "") or pod["spec"].get("nodeName", "")
    return f"https://{host}:{KUBELET_PORT}/{where}"


def _stream_url(request: Request, pod: Obj, container: str) -> str:
    """Where the API server's proxy asks a kubelet for a stream: the parameters in Go's order."""
    streams = (("stderr", "error"), ("stdin", "input"), ("stdout", "output"), ("tty", "tty"))
    asked = [("command", word) for word in request.query.get("command", [])]
    asked += [(theirs, "1") for ours, theirs in streams if request.flag(ours)]
    info = request.info
    path = f"{info.subresource}/{info.namespace}/{info.name}/{container}"
    return _kubelet_url(pod, f"{path}?{urlencode(asked)}" if asked else path)
