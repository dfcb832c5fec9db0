"""Which format a client wants its answer in.

k8s.io/apiserver/pkg/endpoints/handlers/negotiation. Answers go out as JSON or YAML: the object itself, a Table, or its
metadata only. Who takes nothing but protobuf gets the object in that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from msgspec import Struct

from kuartui.embedded.api.request import JSON, PROTOBUF, YAML, Request, Response
from kuartui.embedded.meta import errors, ordered, protobuf
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.store import encode

ACCEPTED = (JSON, YAML, PROTOBUF)


class Wanted(Struct, frozen=True):
    """What the answer should be."""

    media: str = JSON
    as_: str = ""  # Table, PartialObjectMetadata, PartialObjectMetadataList
    version: str = ""  # of meta.k8s.io
    pretty: bool = False

    @property
    def table(self) -> bool:
        return self.as_ == "Table"

    @property
    def partial(self) -> bool:
        return self.as_.startswith("PartialObjectMetadata")

    @property
    def content_type(self) -> str:
        """The answer's Content-Type."""
        return f"{self.media};as={self.as_};v={self.version};g=meta.k8s.io" if self.as_ else self.media


def is_pretty(request: Request) -> bool:
    """Whether the answer is for human eyes: as asked, else for browsers and the like."""
    if "pretty" in request.query:
        return request.flag("pretty")
    return request.headers.get("user-agent", "").startswith(("curl/", "Wget/", "Mozilla/"))


def finished(request: Request, response: Response, *, refused: bool = False) -> Response:
    """The answer as it goes out: its JSON in order and indented for those who read it themselves, or as protobuf.

    What a pod said through a proxy stays as it is, unless it is the API server that refused, and so do the schemas.
    Raises 406.
    """
    own = (refused or request.info.subresource != "proxy") and not request.path.startswith("/openapi/")
    if not own or not response.content_type.startswith(JSON):
        return response
    if request.info.is_resource and _only_protobuf(request):
        return _in_protobuf(response)
    if response.stream is None and response.body:
        indented = response.body.startswith(b"{\n")
        pretty = indented or is_pretty(request)
        if request.info.is_resource and _takes_anything(request):
            response.body = ordered.encoded(orjson.loads(response.body), orjson.OPT_INDENT_2 if pretty else 0)
        elif pretty and not indented:
            response.body = orjson.dumps(orjson.loads(response.body), option=orjson.OPT_INDENT_2)
    elif response.stream is not None and request.info.verb == "watch" and _takes_anything(request):
        response.stream = _in_order(response.stream)
    return response


def _takes_anything(request: Request) -> bool:
    """Whether somebody may look at the JSON as it comes (`kubectl --raw`, curl): who names a format parses it."""
    accept = request.headers.get("accept", "")
    return not accept or "*/*" in accept


def _only_protobuf(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return PROTOBUF in accept and all(clause.strip().startswith(PROTOBUF) for clause in accept.split(","))


def _in_protobuf(response: Response) -> Response:
    if response.stream is None:
        response.body = protobuf.encode(orjson.loads(response.body))
        response.content_type = PROTOBUF
        return response
    response.stream = _events(response.stream)
    response.content_type = f"{PROTOBUF};stream=watch"
    return response


async def _in_order(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in stream:
        events = [orjson.loads(line) for line in chunk.splitlines() if line]
        yield b"".join(
            b'{"type":"%b","object":%b}\n' % (event["type"].encode(), ordered.encoded(event["object"]))
            for event in events
        )


async def _events(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in stream:
        events = [orjson.loads(line) for line in chunk.splitlines() if line]
        try:
            encoded = [protobuf.encode_event(event["type"], event["object"]) for event in events]
        except StatusError:  # a kind without protobuf: nobody who knows it asks for that
            return
        yield b"".join(encoded)


def wanted(request: Request, *, whole: bool = False) -> Wanted:
    """The first thing in Accept that we have; with `whole`, that is the object only. Raises 406."""
    accept = request.headers.get("accept", "")
    pretty = is_pretty(request)
    if not accept:
        return Wanted(pretty=pretty)
    binary = False
    for clause in accept.split(","):
        media, *raw = (part.strip() for part in clause.split(";"))
        parameters = dict(part.partition("=")[::2] for part in raw)
        if media in ("*/*", "application/*"):
            media = JSON
        if media not in (JSON, YAML, PROTOBUF):
            continue
        as_ = parameters.get("as", "")
        if media == PROTOBUF:
            binary = binary or not as_
            continue
        if not as_:
            return Wanted(media, pretty=pretty or "pretty" in parameters)
        known = not whole and as_ in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
        if known and parameters.get("g") == "meta.k8s.io" and parameters.get("v") in ("v1", "v1beta1"):
            return Wanted(media, as_, parameters["v"], pretty)
    if binary:  # `finished` makes it of JSON; clients that take both read JSON as well
        return Wanted()
    raise errors.not_acceptable(ACCEPTED)


def respond(request: Request, value: Any, status: int = 200, want: Wanted | None = None) -> Response:
    """An answer of a value in the wanted format."""
    want = want or wanted(request)
    if want.media == YAML:
        return Response(status, to_yaml(value), want.content_type)
    option = orjson.OPT_INDENT_2 if want.pretty else 0
    body = encode(value, option) if isinstance(value, dict) else orjson.dumps(value, option=option)
    return Response(status, body, want.content_type)


def to_yaml(value: Any) -> bytes:
    """Keys sorted, as sigs.k8s.io/yaml writes them."""
    import yaml

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, default_flow_style=False, allow_unicode=True)
    return text.encode()
