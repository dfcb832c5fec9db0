"""agnhost webhook: the admission webhook of Kubernetes' own end-to-end tests.

After test/images/agnhost/webhook (main.go, pods.go, alwaysdeny.go, alwaysallow): which paths there are, what each
denies, and in which words.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.tls import load_pem, tls_handler
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]

UNWANTED = "webhook-disallow"


def _pods(request: Obj) -> str:
    """Why a pod is denied; empty when it is not."""
    pod = request.get("object") or {}
    found = []
    if (pod.get("metadata", {}).get("labels") or {}).get("webhook-e2e-test") == UNWANTED:
        found.append("the pod contains unwanted label")
    if any(UNWANTED in container["name"] for container in pod.get("spec", {}).get("containers") or ()):
        found.append("the pod contains unwanted container name")
    return "; ".join(found)


def _configmaps(request: Obj) -> str:
    data = (request.get("object") or {}).get("data") or {}
    return "the configmap contains unwanted key and value" if data.get("webhook-e2e-test") == UNWANTED else ""


PATHS: dict[str, Callable[[Obj], str]] = {
    "/always-allow-delay-5s": lambda _: "",
    "/always-deny": lambda _: "this webhook denies all requests",
    "/pods": _pods,
    "/configmaps": _configmaps,
}


async def webhook(process: Process) -> int:
    """agnhost webhook --tls-cert-file=FILE --tls-private-key-file=FILE [--port=443]."""
    options, _ = await parse(process, "", ("tls-cert-file=", "tls-private-key-file=", "port=", "sidecar-image="))
    port = int(options.get("port", "443"))
    try:
        serve_reviews(process, port, PATHS, options["tls-cert-file"], options["tls-private-key-file"])
    except CannotListen as error:
        await process.err(f"panic: listen tcp :{port}: bind: {error}\n")
        return 2
    except (KeyError, OSError) as error:
        await process.err(f"panic: {error}\n")
        return 2
    await process.signals("TERM", "INT").get()
    return 0


class CannotListen(Exception):
    """The port is taken."""


def serve_reviews(
    process: Process, port: int, paths: Mapping[str, Callable[[Obj], str]], certificate: str, key: str
) -> None:
    """Answer AdmissionReviews over TLS; each path's judge says why it denies a request, or "".

    Raises OSError (ssl.SSLError included) for a certificate or key that cannot be used, CannotListen.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pem(context, process.read(certificate), process.read(key))

    async def app(request: Request) -> Response:
        if request.path in ("/readyz", "/healthz"):
            return reply(200, "ok")
        judge = paths.get(request.path)
        if judge is None:
            return reply(404, "404 page not found\n")
        try:
            review = json.loads(request.body)
            asked = review["request"]
            why = judge(asked)
        except (ValueError, KeyError, TypeError) as error:
            return reply(400, f"Request could not be decoded: {error}\n")
        if request.path == "/always-allow-delay-5s":
            await process.clock.sleep(5)
        response: Obj = {"uid": asked["uid"], "allowed": not why}
        if why:
            response["status"] = {"metadata": {}, "message": why}
        answer = {"kind": "AdmissionReview", "apiVersion": review.get("apiVersion"), "response": response}
        return reply(200, json.dumps(answer), "application/json")

    try:
        process.listen(port, tls_handler(context, server(app)))
    except OSError as error:
        raise CannotListen((error.strerror or "").lower()) from None
