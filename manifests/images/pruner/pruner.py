"""Removes dead pods with its service account. What it does is written down in ../README.md."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = Path(os.environ.get("ACCOUNT_DIR", "/var/run/secrets/kubernetes.io/serviceaccount"))
SECONDS = 10.0
ready = threading.Event()


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def call(verb: str, what: str, path: str) -> dict[str, Any] | None:
    """One call, logged; None when it did not go well."""
    status, body = 0, {}
    try:
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters sign with authorities that are older than that
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        client = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
        headers = {
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text().strip()}",
            "Accept": "application/json",
            "User-Agent": "pruner",
        }
        try:
            client.request("GET" if verb == "LIST" else verb, path, headers=headers)
            response = client.getresponse()
            status, body = response.status, json.loads(response.read() or b"{}")
        finally:
            client.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        body = {"message": f"cannot reach the API server: {getattr(error, 'strerror', None) or error}"}
    if 200 <= status < 300:
        say(f"{verb} {what} {status}")
        return body
    words = " ".join(word for word in (f"{verb} {what}", str(status or ""), body.get("reason", "")) if word)
    say(f"{words}: {body['message']}" if body.get("message") else words)
    return None


def one_round(base: str, policy: str) -> bool:
    """Whether it went well."""
    rules = call("GET", f"configmaps/{policy}", f"{base}/configmaps/{policy}")
    pods = call("LIST", "pods", f"{base}/pods") if rules is not None else None
    if rules is None or pods is None:
        return False
    phases = {word.strip() for word in (rules.get("data") or {}).get("phases", "").split(",")} - {""}
    pruned = 0
    for pod in pods.get("items") or ():
        if (pod.get("status") or {}).get("phase") in phases and not pod["metadata"].get("deletionTimestamp"):
            name = pod["metadata"]["name"]
            if call("DELETE", f"pods/{name}", f"{base}/pods/{name}") is None:
                return False
            pruned = 1
            break
    say(f"round done: {pruned} pruned")
    return True


class Readiness(BaseHTTPRequestHandler):
    """Serves /readyz."""

    def do_GET(self) -> None:
        status, body = (200, b"ok") if ready.is_set() else (503, b"last round failed")
        if self.path != "/readyz":
            status, body = 404, b"not found\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Probes are no news."""


def main() -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        interval = float(os.environ.get("INTERVAL_SECONDS", "5"))
        server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Readiness)
    except (OSError, ValueError) as error:
        print(f"pruner: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        namespace = (ACCOUNT / "namespace").read_text().strip()
    except OSError:
        namespace = "default"
    while not stop.is_set():
        if one_round(f"/api/v1/namespaces/{namespace}", os.environ.get("POLICY", "prune-policy")):
            ready.set()
        else:
            ready.clear()
            say("round failed")
        stop.wait(interval)
    return 0


if __name__ == "__main__":
    sys.exit(main())
