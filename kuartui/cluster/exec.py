"""Runs a command in a container over a web socket, as kubectl exec does since 1.31 (subprotocol v5.channel.k8s.io).

Each binary message starts with a channel number: 1 stdout, 2 stderr, 3 the closing Status, which carries the exit code.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson

from kuartui.cluster.resources import segment
from kuartui.cluster.rest import Api, Obj, unreachable
from kuartui.errors import ApiError, ClusterError
from kuartui.message import later

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDOUT, STDERR, STATUS = 1, 2, 3
LIMIT = 2**20  # bytes of output kept, per stream


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    stdout: str
    stderr: str


async def run(
    api: Api, namespace: str, pod: str, command: tuple[str, ...], *, container: str = "", timeout: float = 10.0
) -> ExecResult:
    """Run to the end and collect the output. ClusterError when it could not run; a failing command is a result."""
    import aiohttp

    path = f"/api/v1/namespaces/{segment(namespace)}/pods/{segment(pod)}/exec"
    if api.fence is not None:
        await api.fence.check_exec(namespace, api.glimpse)
    session = await api.session()
    api.asked += 1
    query = [("command", word) for word in command] + [("stdout", "true"), ("stderr", "true")]
    if container:
        query.append(("container", container))
    url = api.access.base + path
    output: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray(), STATUS: bytearray()}
    try:
        async with (
            asyncio.timeout(timeout),
            session.ws_connect(
                url,
                params=query,
                protocols=PROTOCOLS,
                max_msg_size=2**22,
                compress=0,
                server_hostname=api.access.server_name or None,
            ) as socket,
        ):
            async for message in socket:
                if message.type == aiohttp.WSMsgType.BINARY and message.data:
                    kept = output.get(message.data[0])
                    if kept is not None and len(kept) < LIMIT:
                        kept += message.data[1:]
    except aiohttp.WSServerHandshakeError as error:
        raise ApiError(
            later(
                "cannot run a command in pod {namespace}/{pod}: {why}", namespace=namespace, pod=pod, why=error.message
            ),
            code=error.status,
        ) from error
    except TimeoutError as error:
        raise ClusterError(
            later(
                "{command} in pod {namespace}/{pod} did not end within {timeout:g} s",
                command=command[0],
                namespace=namespace,
                pod=pod,
                timeout=timeout,
            )
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise unreachable(api.access, error) from error
    code = _exit_code(bytes(output[STATUS]), f"{namespace}/{pod}")
    return ExecResult(code, output[STDOUT].decode(errors="replace"), output[STDERR].decode(errors="replace"))


def _exit_code(raw: bytes, pod: str) -> int:
    try:
        status: Obj = orjson.loads(raw)
        if status.get("status") == "Success":
            return 0
        causes = (status.get("details") or {}).get("causes") or []
        code = next((cause["message"] for cause in causes if cause.get("reason") == "ExitCode"), None)
        if code is None:
            why = status.get("message", "no reason given")
            failed, reason = int(status.get("code", 500)), str(status.get("reason", ""))
            raise ApiError(
                later("cannot run a command in pod {pod}: {why}", pod=pod, why=why), code=failed, reason=reason
            )
        return int(code)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ClusterError(later("the command in pod {pod} ended without a status", pod=pod)) from error
