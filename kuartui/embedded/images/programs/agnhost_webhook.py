"""agnhost webhook and crd-conversion-webhook: the webhooks of Kubernetes' own end-to-end tests.

After test/images/agnhost/webhook (main.go, pods.go, configmap.go, customresource.go, crd.go, addlabel.go, alwaysdeny.go,
always_allow_delay) and .../crd-conversion-webhook/converter: which paths there are, what each denies or changes, and in
which words.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kuartui.embedded.images.applets.options import Options, parse
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.tls import load_pem, refuse_plainly, tls_handler
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]
Judge = Callable[[Obj], str | list[Obj]]
"""From an AdmissionRequest to why it is denied, or to the JSON patch of what is admitted (both may be empty)."""

UNWANTED, KEPT = "webhook-disallow", "webhook-nondeletable"
MARK = "webhook-e2e-test"
HANGING = "wait-forever"
KLOG = ("alsologtostderr", "logtostderr")


def _labels(request: Obj) -> Obj:
    found: Obj = ((request.get("object") or {}).get("metadata") or {}).get("labels") or {}
    return found


def _data(request: Obj, field: str = "object") -> Obj:
    found: Obj = (request.get(field) or {}).get("data") or {}
    return found


def _pods(request: Obj) -> str:
    found = []
    if _labels(request).get(MARK) == UNWANTED:
        found.append("the pod contains unwanted label;")
    for container in (request.get("object") or {}).get("spec", {}).get("containers") or ():
        if UNWANTED in container["name"]:
            found.append("the pod contains unwanted container name;")
    return " ".join(found)


def _attach(request: Obj) -> str:
    options = request.get("object") or {}
    named = request.get("name") == "to-be-attached-pod"
    if not named or not options.get("stdin") or options.get("container") != "container1":
        return ""
    return "attaching to pod 'to-be-attached-pod' is not allowed"


def _configmaps(request: Obj) -> str:
    if request.get("operation") == "DELETE":
        kept = _data(request, "oldObject").get(MARK) == KEPT
        return "the configmap cannot be deleted because it contains unwanted key and value" if kept else ""
    return "the configmap contains unwanted key and value" if _data(request).get(MARK) == UNWANTED else ""


def _custom_resource(request: Obj) -> str:
    if request.get("operation") == "DELETE":
        kept = _data(request, "oldObject").get(MARK) == KEPT
        return "the custom resource cannot be deleted because it contains unwanted key and value" if kept else ""
    return "the custom resource contains unwanted data" if _data(request).get(MARK) == UNWANTED else ""


def _definitions(request: Obj) -> str:
    return "the crd contains unwanted label" if _labels(request).get(MARK) == UNWANTED else ""


def _add(path: str, value: Any) -> list[Obj]:
    return [{"op": "add", "path": path, "value": value}]


def _stages(request: Obj) -> list[Obj]:
    """A stage for each stage before, so that the order of webhooks shows."""
    given = _data(request)
    if given.get("mutation-stage-1") == "yes":
        return _add("/data/mutation-stage-2", "yes")
    return _add("/data/mutation-stage-1", "yes") if given.get("mutation-start") == "yes" else []


def _init_container(request: Obj) -> list[Obj]:
    if ((request.get("object") or {}).get("metadata") or {}).get("name") != "webhook-to-be-mutated":
        return []
    added = {"image": "webhook-added-image", "name": "webhook-added-init-container", "resources": {}}
    return _add("/spec/initContainers", [added])


def _sidecar(image: str) -> list[Obj]:
    if not image:
        return []
    return _add("/spec/containers/-", {"image": image, "name": "webhook-added-sidecar", "resources": {}})


def _label(request: Obj) -> list[Obj]:
    labels = _labels(request)
    if not labels:
        return _add("/metadata/labels", {"added-label": "yes"})
    return [] if labels.get("added-label") == "yes" else _add("/metadata/labels/added-label", "yes")


PATHS: dict[str, Judge] = {
    "/always-allow-delay-5s": lambda _: "",
    "/always-deny": lambda _: "this webhook denies all requests",
    "/add-label": _label,
    "/pods": _pods,
    "/pods/attach": _attach,
    "/mutating-pods": _init_container,
    "/configmaps": _configmaps,
    "/mutating-configmaps": _stages,
    "/custom-resource": _custom_resource,
    "/mutating-custom-resource": _stages,
    "/crd": _definitions,
}


async def webhook(process: Process) -> int:
    """agnhost webhook --tls-cert-file=FILE --tls-private-key-file=FILE [--port=443] [--sidecar-image=IMAGE]."""
    options, _ = await parse(
        process, "v:", ("tls-cert-file=", "tls-private-key-file=", "port=", "sidecar-image=", *KLOG)
    )
    image = options.get("sidecar-image", "")
    judges: dict[str, Judge] = {**PATHS, "/mutating-pods-sidecar": lambda _: _sidecar(image)}

    async def before(path: str, asked: Obj) -> None:
        if path == "/always-allow-delay-5s":
            await process.clock.sleep(5)
        elif path == "/pods" and _labels(asked).get(MARK) == HANGING:
            await asyncio.Event().wait()

    return await _run(process, options, lambda port, cert, key: serve_reviews(process, port, judges, cert, key, before))


async def crd_conversion_webhook(process: Process) -> int:
    """agnhost crd-conversion-webhook, with the same options: /crdconvert turns hostPort into host and port, and back."""
    options, _ = await parse(process, "v:", ("tls-cert-file=", "tls-private-key-file=", "port=", *KLOG))

    def convert(review: Obj) -> Obj:
        asked, converted = review["request"], []
        wanted = asked["desiredAPIVersion"]
        result: Obj = {"status": "Success"}
        for obj in asked["objects"]:
            try:
                converted.append({**_converted(obj, wanted), "apiVersion": wanted})
            except ValueError as error:
                converted, result = [], {"status": "Failure", "message": str(error)}
                break
        response = {"uid": asked["uid"], "result": result, "convertedObjects": converted}
        return {"kind": "ConversionReview", "apiVersion": review.get("apiVersion"), "response": response}

    async def answer(path: str, review: Obj) -> Obj | None:
        return convert(review) if path == "/crdconvert" else None

    return await _run(process, options, lambda port, cert, key: _serve(process, port, answer, cert, key))


def _converted(obj: Obj, wanted: str) -> Obj:
    """Raises ValueError, in the converter's words."""
    given = str(obj.get("apiVersion"))
    version = wanted.rpartition("/")[2]
    if given == wanted:
        raise ValueError(f"conversion from a version to itself should not call the webhook: {wanted}")
    result = dict(obj)
    if version == "v2" and given.endswith("/v1"):
        if "hostPort" in result:
            parts = str(result.pop("hostPort")).split(":")
            if len(parts) != 2:
                raise ValueError(f"invalid hostPort value `{obj['hostPort']}`")
            result["host"], result["port"] = parts
    elif version == "v1" and given.endswith("/v2"):
        host, port = result.pop("host", None), result.pop("port", None)
        if host is not None or port is not None:
            result["hostPort"] = f"{host or ''}:{port or ''}"
    else:
        raise ValueError(f"unexpected conversion version {json.dumps(given)}")
    return result


async def _run(process: Process, options: Options, start: Callable[[int, str, str], None]) -> int:
    try:
        start(int(options.get("port", "443")), options["tls-cert-file"], options["tls-private-key-file"])
    except CannotListen as error:
        await process.err(f"panic: listen tcp :{options.get('port', '443')}: bind: {error}\n")
        return 2
    except (KeyError, OSError) as error:
        await process.err(f"panic: {error}\n")
        return 2
    await process.signals("TERM", "INT").get()
    return 0


class CannotListen(Exception):
    """The port is taken."""


def serve_reviews(
    process: Process,
    port: int,
    paths: Mapping[str, Judge],
    certificate: str,
    key: str,
    before: Callable[[str, Obj], Awaitable[None]] | None = None,
) -> None:
    """Answer AdmissionReviews over TLS; each path's judge decides, after `before` has been waited for.

    Raises OSError (ssl.SSLError included) for a certificate or key that cannot be used, CannotListen.
    """

    async def answer(path: str, review: Obj) -> Obj | None:
        judge = paths.get(path)
        if judge is None:
            return None
        asked = review["request"]
        if before is not None:
            await before(path, asked)
        said = judge(asked)
        response: Obj = {"uid": asked["uid"], "allowed": not said or isinstance(said, list)}
        if said and isinstance(said, list):
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(said).encode()).decode()}
        elif said:
            response["status"] = {"metadata": {}, "message": said}
        return {"kind": "AdmissionReview", "apiVersion": review.get("apiVersion"), "response": response}

    _serve(process, port, answer, certificate, key)


def _serve(
    process: Process, port: int, answer: Callable[[str, Obj], Awaitable[Obj | None]], certificate: str, key: str
) -> None:
    """Answer reviews over TLS; None is a path that is not there. Raises as `serve_reviews`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pem(context, process.read(certificate), process.read(key))

    async def app(request: Request) -> Response:
        if request.path in ("/readyz", "/healthz"):
            return reply(200, "ok")
        try:
            answered = await answer(request.path, json.loads(request.body or b"{}"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return reply(400, f"Request could not be decoded: {error}\n")
        if answered is None:
            return reply(404, "404 page not found\n")
        return reply(200, json.dumps(answered), "application/json")

    try:
        process.listen(port, tls_handler(context, server(app), plain_http=refuse_plainly))
    except OSError as error:
        raise CannotListen((error.strerror or "").lower()) from None
