"""The project's own images."""

from __future__ import annotations

from kuartui.embedded.images.model import Image, ImageConfig, Program
from kuartui.embedded.images.programs.checkout import checkout
from kuartui.embedded.images.programs.demo import seal, slowstart
from kuartui.embedded.images.programs.loadgen import loadgen
from kuartui.embedded.images.programs.operator import operator
from kuartui.embedded.images.programs.policy_webhook import policy_webhook
from kuartui.embedded.images.programs.pruner import pruner
from kuartui.embedded.images.reference import Reference

PROGRAMS: dict[str, tuple[Program, int]] = {
    "checkout": (checkout, 8080),
    "loadgen": (loadgen, 0),
    "operator": (operator, 8080),
    "policy-webhook": (policy_webhook, 8443),
    "pruner": (pruner, 8080),
    "seal": (seal, 0),
    "slowstart": (slowstart, 8080),
}


def find(reference: Reference) -> Image | None:
    """kuartui/NAME:1, static binaries without a shell."""
    name = reference.path.rpartition("/")[2]
    if reference.tag not in ("1", "latest") or name not in PROGRAMS:
        return None
    program, port = PROGRAMS[name]
    user = "" if name == "seal" else "65532"
    config = ImageConfig(entrypoint=(f"/{name}",), user=user, ports=(port,) if port else ())
    return Image(reference.repository, reference.tag, config, {}, {f"/{name}": program}, size=8 << 20, memory=8 << 20)
