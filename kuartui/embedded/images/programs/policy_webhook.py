"""kuartui/policy-webhook: an admission webhook that denies objects with a label. See manifests/images/README.md."""

from __future__ import annotations

from typing import Any

from kuartui.embedded.images.programs.agnhost_webhook import CannotListen, serve_reviews
from kuartui.embedded.node.runtime.process import Process


async def policy_webhook(process: Process) -> int:
    """Serve /validate over TLS until told to stop."""
    key, _, value = process.env.get("FORBIDDEN_LABEL", "kuar.io/forbidden=true").partition("=")
    directory = process.env.get("TLS_DIR", "/tls").rstrip("/")
    port = int(process.env.get("PORT", "8443"))

    def judge(request: dict[str, Any]) -> str:
        labels = (request.get("object") or {}).get("metadata", {}).get("labels") or {}
        denied = key in labels and (not value or labels[key] == value)
        return f"label {key}={labels[key]} is forbidden by the house policy" if denied else ""

    try:
        serve_reviews(process, port, {"/validate": judge}, f"{directory}/tls.crt", f"{directory}/tls.key")
    except CannotListen as error:
        await process.err(f"policy-webhook: listen on :{port}: {error}\n")
        return 1
    except OSError as error:
        await process.err(f"policy-webhook: certificate and key in {directory}: {error.strerror or error}\n")
        return 1
    await process.out(f"policy-webhook: listening on :{port}\n")
    await process.signals("TERM", "INT").get()
    return 0
