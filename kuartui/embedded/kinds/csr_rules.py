"""What certificate signing requests must fulfil (pkg/apis/certificates/validation)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from kuartui.embedded.kinds.checks import dns_subdomain
from kuartui.embedded.meta import names
from kuartui.embedded.meta.fielderr import FieldError, Path, duplicate, forbidden, invalid, not_supported, required

Obj = dict[str, Any]

_USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_LEAST_SECONDS = 600
_SIGNER_FORM = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
_PERMANENT = ("Approved", "Denied", "Failed")
_PEM_BLOCK = re.compile(rb"-----BEGIN ([^\n-]+)-----\n(.*?)-----END \1-----", re.DOTALL)


def create_errors(spec: Obj) -> list[FieldError]:
    """A new request's spec."""
    path, errors = Path("spec"), []
    problem = _request_problem(spec.get("request", ""))
    if problem:
        errors.append(invalid(path / "request", spec.get("request", ""), problem))
    usages = spec.get("usages") or []
    if not usages:
        errors.append(required(path / "usages", "usages must be provided"))
    for index, usage in enumerate(usages):
        at = (path / "usages").index(index)
        if usage not in _USAGES:
            errors.append(not_supported(at, usage, _USAGES))
        if usage in usages[:index]:
            errors.append(duplicate(at, usage))
    errors += signer_name(spec.get("signerName", ""), path / "signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _LEAST_SECONDS:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid(path / "expirationSeconds", seconds, text))
    return errors


def _request_problem(encoded: str) -> str:
    from cryptography import x509

    try:
        pem = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        pem = b""
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_pem_x509_csr(pem)
    except ValueError:
        return "x509: malformed certificate request"
    return "" if request.is_signature_valid else "x509: ECDSA verification failure"


def signer_name(name: str, path: Path) -> list[FieldError]:
    """domain/path, and not the one that only older versions take."""
    if not name:
        return [required(path)]
    segments = name.split("/")
    if len(segments) != 2:
        return [invalid(path, name, _SIGNER_FORM)]
    domain, rest = segments
    errors = dns_subdomain(domain, path)
    if "." not in domain:
        text = "should be a domain with at least two segments separated by dots"
        errors.append(invalid(path, domain, text))
    for segment in rest.split("."):
        errors += [invalid(path, segment, text) for text in names.dns1123_label(segment)]
    if name == "kubernetes.io/legacy-unknown":
        errors.append(invalid(path, name, "the legacy signerName is not allowed via this API version"))
    return errors


def condition_errors(obj: Obj) -> list[FieldError]:
    """Conditions that go together."""
    path, errors = Path("status.conditions"), []
    conditions = (obj.get("status") or {}).get("conditions") or []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        at, kind = path.index(index), condition.get("type", "")
        if not kind:
            errors.append(required(at / "type"))
        if not condition.get("status"):
            errors.append(required(at / "status"))
        elif kind in _PERMANENT and condition["status"] != "True":
            errors.append(not_supported(at / "status", condition["status"], ("True",)))
        opposite = {"Approved": "Denied", "Denied": "Approved"}.get(kind)
        if opposite in seen:
            errors.append(invalid(at / "type", kind, "Approved and Denied conditions are mutually exclusive"))
        if kind in seen:
            errors.append(duplicate(at / "type", kind))
        seen.add(kind)
    return errors


def update_errors(new: Obj, old: Obj) -> list[FieldError]:
    """What was decided stays decided."""
    return condition_errors(new) + _removed(new, old)


def status_errors(new: Obj, old: Obj) -> list[FieldError]:
    """A signer gives a certificate, once, and decides nothing."""
    certificate, before = ((one.get("status") or {}).get("certificate") or "" for one in (new, old))
    errors = condition_errors(new)
    if problem := "" if before else _certificate_problem(certificate):
        errors.append(invalid("status.certificate", "<certificate data>", problem))
    errors += _removed(new, old)
    errors += [
        forbidden("status.conditions", f'updates may not add a condition of type "{kind}"')
        for kind in ("Approved", "Denied")
        if kind in _types(new) and kind not in _types(old)
    ]
    if before and certificate != before:
        errors.append(forbidden("status.certificate", "updates may not modify existing certificate content"))
    return errors


def _removed(new: Obj, old: Obj) -> list[FieldError]:
    now, was = _types(new), _types(old)
    return [
        forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
        for kind in _PERMANENT
        if kind in was and kind not in now
    ]


def _types(request: Obj) -> set[str]:
    return {condition.get("type", "") for condition in (request.get("status") or {}).get("conditions") or []}


def _certificate_problem(encoded: str) -> str:
    from cryptography import x509

    pem = base64.b64decode(encoded)
    blocks = _PEM_BLOCK.findall(pem)
    for kind, _ in blocks:
        if kind != b"CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{kind.decode()}"'
    if pem and not blocks:
        return "must contain at least one CERTIFICATE PEM block"
    if any(b":" in body for _, body in blocks):
        return "no PEM block headers are permitted"
    try:
        if pem:
            x509.load_pem_x509_certificates(pem)
    except ValueError:
        return "x509: malformed certificate"
    return ""
