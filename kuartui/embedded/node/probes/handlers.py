"""Doing one probe: exec, httpGet, tcpSocket or grpc, with the texts of pkg/probe."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from kuartui.embedded.clock import Clock
from kuartui.embedded.network import NameNotResolved, Network, Unreachable, not_found_on_node
from kuartui.embedded.node.probes import grpc
from kuartui.embedded.node.probes.http import MAX_REDIRECTS, RequestError, Target, get
from kuartui.embedded.node.runtime import Capture, Container, ExecError
from kuartui.embedded.node.wording import quoted

Obj = dict[str, Any]

MAX_OUTPUT = 10 << 10
REDIRECTS = (301, 302, 303, 307, 308)


class Result(StrEnum):
    """What a probe says. UNKNOWN: it could not be done at all."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class Outcome(Struct, frozen=True):
    """Result and the text for the event."""

    result: Result
    output: str = ""


class Prober(Struct, frozen=True):
    """Probes from one node."""

    clock: Clock
    network: Network
    node_ip: str

    async def probe(self, handler: Obj, seconds: float, spec: Obj, container: Container, pod_ip: str) -> Outcome:
        """`handler` is a Probe of the API, `spec` its container's. The timeout is the probe's."""
        if "exec" in handler:
            return await self._exec(handler["exec"].get("command") or [], seconds, container)
        try:
            if "httpGet" in handler:
                return await self._http(http_target(handler["httpGet"], spec, pod_ip), seconds)
            if "tcpSocket" in handler:
                source = handler["tcpSocket"]
                return await self._tcp(source.get("host") or pod_ip, port_number(source["port"], spec), seconds)
            if "grpc" in handler:
                return await self._grpc(handler["grpc"], pod_ip, seconds)
        except PortError as error:
            return Outcome(Result.UNKNOWN, str(error))
        return Outcome(Result.UNKNOWN, "missing probe handler")

    async def _exec(self, command: list[str], seconds: float, container: Container) -> Outcome:
        capture = Capture(MAX_OUTPUT)
        try:
            async with self.clock.timeout(seconds):
                code = await container.exec(command, capture.io())
        except TimeoutError:
            text = " ".join(command)
            return Outcome(Result.FAILURE, f"command timed out: {quoted(text)} timed out after {seconds:g}s")
        except ExecError as error:
            return Outcome(Result.UNKNOWN, f"rpc error: code = Unknown desc = failed to exec in container: {error}")
        return Outcome(Result.FAILURE if code else Result.SUCCESS, capture.text)

    async def _http(self, target: Target, seconds: float) -> Outcome:
        host, asked = target.host, 0
        while True:
            try:
                answer = await get(self.network, self.clock, self.node_ip, target, seconds)
            except RequestError as error:
                return Outcome(Result.FAILURE, f"Get {quoted(target.url)}: {error}")
            asked += 1
            if answer.status not in REDIRECTS or not answer.location:
                break
            onward = urlsplit(urljoin(target.url, answer.location))
            if onward.hostname != host:
                break
            if asked == MAX_REDIRECTS:
                text = f"Get {quoted(answer.location)}: stopped after {MAX_REDIRECTS} redirects"
                return Outcome(Result.FAILURE, text)
            path = (onward.path or "/") + (f"?{onward.query}" if onward.query else "")
            port = onward.port or (443 if onward.scheme == "https" else 80)
            target = Target(onward.scheme, host, port, path, target.headers)
        body = answer.body.decode(errors="replace")
        if 200 <= answer.status < 300:
            return Outcome(Result.SUCCESS, body)
        if answer.status < 400:
            return Outcome(Result.WARNING, f"Probe terminated redirects, Response body: {body}")
        return Outcome(Result.FAILURE, f"HTTP probe failed with statuscode: {answer.status}")

    async def _tcp(self, host: str, port: int, seconds: float) -> Outcome:
        try:
            async with self.clock.timeout(seconds):
                stream = await self.network.connect(self.node_ip, host, port, seconds=seconds + 1)
        except ConnectionRefusedError:
            return Outcome(Result.FAILURE, f"dial tcp {host}:{port}: connect: connection refused")
        except Unreachable:
            return Outcome(Result.FAILURE, f"dial tcp {host}:{port}: connect: no route to host")
        except TimeoutError:
            return Outcome(Result.FAILURE, f"dial tcp {host}:{port}: i/o timeout")
        except NameNotResolved:
            return Outcome(Result.FAILURE, not_found_on_node(host))
        stream.close()
        return Outcome(Result.SUCCESS)

    async def _grpc(self, source: Obj, pod_ip: str, seconds: float) -> Outcome:
        address = f"{pod_ip}:{source['port']}"
        late = f"timeout: failed to connect service {quoted(address)} within {seconds:g}s: context deadline exceeded"
        try:
            async with self.clock.timeout(seconds):
                try:
                    stream = await self.network.connect(self.node_ip, pod_ip, int(source["port"]), seconds=seconds + 1)
                    status = await grpc.check(stream, address, source.get("service") or "")
                except OSError:
                    # grpc-go dials again until the deadline, whatever the error
                    await self.clock.sleep(seconds + 1)
                    return Outcome(Result.FAILURE, late)
        except TimeoutError:
            return Outcome(Result.FAILURE, late)
        except grpc.Unimplemented:
            return Outcome(
                Result.FAILURE,
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
                "unknown service grpc.health.v1.Health",
            )
        except grpc.Failed as error:
            return Outcome(Result.FAILURE, f"error: health rpc probe failed: {error}")
        if status != "SERVING":
            return Outcome(Result.FAILURE, f"service unhealthy (responded with {quoted(status)})")
        return Outcome(Result.SUCCESS, "service healthy")


class PortError(ValueError):
    """A named port that the container doesn't have."""


def port_number(port: int | str, spec: Obj) -> int:
    """A port given by number or name."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for entry in spec.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    raise PortError(f"strconv.Atoi: parsing {quoted(port)}: invalid syntax")


def http_target(source: Obj, spec: Obj, pod_ip: str) -> Target:
    """Where an HTTPGetAction goes. Raises PortError."""
    path = source.get("path") or "/"
    if not path.startswith("/"):
        path = "/" + path
    headers = tuple((header["name"], header["value"]) for header in source.get("httpHeaders") or ())
    port = port_number(source["port"], spec)
    return Target((source.get("scheme") or "HTTP").lower(), source.get("host") or pod_ip, port, path, headers)
