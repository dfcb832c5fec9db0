"""TLS over the network's streams, with the real library: certificates, SNI and complaints are OpenSSL's.

Each side gets an ordinary `Stream` of plain bytes; two tasks move them through an `SSLObject`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import Callable
from datetime import datetime

from kuartui.embedded.network.stream import Handler, Stream, pipe

GO_REFUSAL = b"HTTP/1.0 400 Bad Request\r\nContent-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_METHODS = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO")
"""The first bytes by which Go's servers know plain HTTP where TLS is spoken."""


async def refuse_plainly(stream: Stream) -> None:
    """What a server in Go answers to plain HTTP on a port of HTTPS."""
    await stream.write(GO_REFUSAL)


async def connect_tls(stream: Stream, context: ssl.SSLContext, server_name: str | None) -> Stream:
    """Speak TLS as the client on a connected stream. Raises ssl.SSLError (certificate, protocol) or OSError."""
    return (await _wrap(stream, context, server_side=False, server_name=server_name))[0]


def tls_handler(
    context: ssl.SSLContext,
    handler: Handler,
    failed: Callable[[ssl.SSLError], None] | None = None,
    plain_http: Handler | None = None,
) -> Handler:
    """A connection handler that speaks TLS as the server and hands on what is inside; `plain_http` gets what is none."""

    async def serve(stream: Stream) -> None:
        if plain_http is not None:
            first = await stream.read()
            stream.unread(first)
            if first.startswith(_METHODS):
                try:
                    await plain_http(stream)
                finally:
                    stream.close()
                return
        try:
            plain, pumps = await _wrap(stream, context, server_side=True, server_name=None)
        except ssl.SSLError as error:
            stream.abort()
            if failed is not None:
                failed(error)
            return
        try:
            await handler(plain)
            await pumps
        finally:
            pumps.cancel()
            stream.close()

    return serve


def load_pem(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a certificate chain and key from memory; the ssl module only knows files. Raises ssl.SSLError."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


def described(certificate: bytes) -> dict[str, str]:
    """What clients tell of a certificate in DER: subject, start date, expire date, issuer; in curl's form."""
    from cryptography import x509

    def name(found: x509.Name) -> str:
        return "; ".join(f"{part.rfc4514_attribute_name}={part.value!s}" for part in found)

    read = x509.load_der_x509_certificate(certificate)
    form = "%b %d %H:%M:%S %Y GMT"
    return {
        "subject": name(read.subject),
        "start date": read.not_valid_before_utc.strftime(form),
        "expire date": read.not_valid_after_utc.strftime(form),
        "issuer": name(read.issuer),
    }


async def shown_certificate(stream: Stream, server_name: str) -> bytes:
    """The certificate that a server shows, whatever it is worth, in DER. Raises ssl.SSLError or OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = await connect_tls(stream, context, server_name)
    plain.abort()
    return plain.certificate


def go_complaint(error: ssl.SSLCertVerificationError, server: str, certificate: bytes, now: datetime) -> str:
    """What crypto/x509 says where OpenSSL refused a certificate (in DER)."""
    from cryptography import x509

    text = str(error).lower()
    if "hostname mismatch" not in text and "expired" not in text and "not yet valid" not in text:
        return "x509: certificate signed by unknown authority"
    read = x509.load_der_x509_certificate(certificate)
    if "hostname mismatch" not in text:
        form = "%Y-%m-%dT%H:%M:%SZ"
        early = now < read.not_valid_before_utc
        where = f"before {read.not_valid_before_utc:{form}}" if early else f"after {read.not_valid_after_utc:{form}}"
        return f"x509: certificate has expired or is not yet valid: current time {now:{form}} is {where}"
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        valid = ", ".join(
            [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
        )
    except x509.ExtensionNotFound:
        if any(part.value == server for part in read.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)):
            return "x509: certificate relies on legacy Common Name field, use SANs instead"
        valid = ""
    if valid:
        return f"x509: certificate is valid for {valid}, not {server}"
    return f"x509: certificate is not valid for any names, but wanted to match {server}"


def self_signed(*names: str) -> tuple[bytes, bytes]:
    """A certificate that nobody trusts, and its key: what routers show for names they do not know."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2120, 1, 1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names[1:]]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), text


async def _wrap(
    stream: Stream, context: ssl.SSLContext, *, server_side: bool, server_name: str | None
) -> tuple[Stream, asyncio.Future[None]]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=server_name)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            await _flush(outgoing, stream)
            data = await stream.read()
            if not data:
                raise ConnectionResetError(104, "Connection reset by peer") from None
            incoming.write(data)
        except ssl.SSLError:
            with contextlib.suppress(OSError):
                await _flush(outgoing, stream)  # the alert
            raise
    await _flush(outgoing, stream)
    plain, inner = pipe()
    plain.local, plain.remote = stream.local, stream.remote
    plain.certificate = tls.getpeercert(binary_form=True) or b""
    plain.cipher = f"{tls.version()} / {(tls.cipher() or ('',))[0]}"
    pumps = asyncio.ensure_future(_pump(stream, inner, tls, incoming, outgoing))
    _PUMPS.add(pumps)
    pumps.add_done_callback(_PUMPS.discard)
    return plain, pumps


_PUMPS: set[asyncio.Future[None]] = set()  # asyncio keeps only weak references to tasks


async def _pump(
    stream: Stream, inner: Stream, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> None:
    tasks = {
        asyncio.ensure_future(_decrypt(stream, inner, tls, incoming, outgoing)),
        asyncio.ensure_future(_encrypt(stream, inner, tls, outgoing)),
    }
    try:
        for task in tasks:
            await task
    except OSError:
        inner.abort()
        stream.abort()
    finally:
        for task in tasks:
            task.cancel()
        stream.close()


async def _decrypt(
    stream: Stream, inner: Stream, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> None:
    while True:
        try:
            data = tls.read(1 << 16)
        except ssl.SSLWantReadError:
            await _flush(outgoing, stream)
            received = await stream.read()
            if received:
                incoming.write(received)
                continue
            data = b""
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            data = b""
        if not data:
            inner.close()
            return
        await inner.write(data)


async def _encrypt(stream: Stream, inner: Stream, tls: ssl.SSLObject, outgoing: ssl.MemoryBIO) -> None:
    while data := await inner.read():
        tls.write(data)
        await _flush(outgoing, stream)
    with contextlib.suppress(ssl.SSLError):
        tls.unwrap()
    with contextlib.suppress(OSError):
        await _flush(outgoing, stream)
    stream.close()


async def _flush(outgoing: ssl.MemoryBIO, stream: Stream) -> None:
    while data := outgoing.read():
        await stream.write(data)
