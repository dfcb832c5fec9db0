"""DNS messages as bytes (RFC 1035), for who asks a name server over TCP or wants to know how long a message is."""

from __future__ import annotations

import ipaddress
import struct

from msgspec import Struct

from kuartui.embedded.network.dns import Answer, DnsServer, Record
from kuartui.embedded.network.stream import Handler, Stream

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
IN = 1
RESPONSE, AUTHORITATIVE, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
HEADER = struct.Struct("!6H")
LONGEST_LABEL = 63


class MalformedError(ValueError):
    """Bytes that are no DNS question."""


class Question(Struct, frozen=True):
    """The first question of a message; `qtype` is its name, or TYPE and a number for what has none here."""

    id: int
    flags: int
    name: str
    qtype: str


def decode(message: bytes) -> Question:
    """Read a message that asks. Raises MalformedError."""
    try:
        id_, flags, count, *_ = HEADER.unpack_from(message)
        labels, at = [], HEADER.size
        while length := message[at]:
            if length > LONGEST_LABEL:
                raise MalformedError("a compressed name in a question")
            labels.append(message[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length
        number, _ = struct.unpack_from("!2H", message, at + 1)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise MalformedError("a message too short, or with a name that is none") from error
    if not count or flags & RESPONSE:
        raise MalformedError("no question")
    return Question(id_, flags, ".".join(labels).lower(), NAMES.get(number, f"TYPE{number}"))


def encode(question: Question, answer: Answer) -> bytes:
    """The message that answers; records of types without a wire form here are left out."""
    records = [found for found in map(_record, answer.records) if found is not None]
    flags = RESPONSE | (question.flags & RECURSION_DESIRED) | RCODES.get(answer.rcode, RCODES["SERVFAIL"])
    flags |= AUTHORITATIVE if answer.authoritative else RECURSION_AVAILABLE
    return b"".join([HEADER.pack(question.id, flags, 1, len(records), 0, 0), _asked(question), *records])


def question_size(name: str) -> int:
    """Bytes of a message that asks for a name."""
    return HEADER.size + len(_name(name)) + 4


def over_tcp(server: DnsServer) -> Handler:
    """A handler of connections: each message has its length in front."""

    async def serve(stream: Stream) -> None:
        while True:
            prefix = await _exactly(stream, 2)
            message = await _exactly(stream, int.from_bytes(prefix)) if len(prefix) == 2 else b""
            try:
                question = decode(message)
            except MalformedError:
                stream.close()
                return
            said = encode(question, await server.answer(question.name, question.qtype, stream.remote[0]))
            await stream.write(len(said).to_bytes(2) + said)

    return serve


async def _exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := await stream.read(size - len(data))):
        data += piece
    return data


def _asked(question: Question) -> bytes:
    number = TYPES.get(question.qtype) or int(question.qtype.removeprefix("TYPE"))
    return _name(question.name) + struct.pack("!2H", number, IN)


def _record(record: Record) -> bytes | None:
    data = _data(record.type, record.data)
    if data is None:
        return None
    return _name(record.name) + struct.pack("!2HIH", TYPES[record.type], IN, record.ttl, len(data)) + data


def _data(kind: str, text: str) -> bytes | None:
    match kind:
        case "A" | "AAAA":
            return ipaddress.ip_address(text).packed
        case "CNAME" | "PTR" | "NS":
            return _name(text)
        case "SRV":
            *numbers, target = text.split()
            return struct.pack("!3H", *map(int, numbers)) + _name(target)
        case "TXT":
            raw = text.encode()
            pieces = [raw[at : at + 255] for at in range(0, len(raw), 255)] or [b""]
            return b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return None


def _name(name: str) -> bytes:
    labels = [label.encode("idna") if not label.isascii() else label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
