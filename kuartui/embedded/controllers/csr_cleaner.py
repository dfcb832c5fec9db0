"""Removes CertificateSigningRequests that nobody needs any more, once an hour.

After pkg/controller/certificates/cleaner.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from kuartui.embedded.controllers import objects
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.csr import REQUESTS
from kuartui.embedded.meta.errors import StatusError
from kuartui.embedded.meta.time import parse_time
from kuartui.embedded.store import Event, EventType

Obj = dict[str, Any]

EVERY = timedelta(hours=1)
DECIDED = timedelta(hours=1)  # after approval, denial or failure
PENDING = timedelta(hours=24)


class CertificateCleaner(Controller):
    """Has one key, which comes up each hour while there are requests."""

    name = "certificate-controller"

    def setup(self) -> None:
        self.watch(REQUESTS, self._request_changed)

    def _request_changed(self, event: Event) -> None:
        if event.type is EventType.ADDED:
            self.enqueue_after("", "", EVERY.total_seconds())

    async def reconcile(self, namespace: str, name: str) -> None:
        now = self.clock.now()
        for request in self.client.list(REQUESTS):
            if not _done_with(request, now):
                continue
            try:
                await self.client.delete(REQUESTS, "", objects.name_of(request), uid=objects.uid_of(request))
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
        if self.client.list(REQUESTS):
            self.enqueue_after("", "", EVERY.total_seconds())


def _done_with(request: Obj, now: datetime) -> bool:
    """Whether a request was decided on, or forgotten, long enough ago, or its certificate is not good any more."""
    status = request.get("status") or {}
    conditions = status.get("conditions") or []
    if not conditions:
        return parse_time(request["metadata"]["creationTimestamp"]) + PENDING < now
    decided = (one.get("lastUpdateTime") for one in conditions if one["type"] in ("Approved", "Denied", "Failed"))
    if any(moment and parse_time(moment) + DECIDED < now for moment in decided):
        return True
    return bool(status.get("certificate")) and _expired(base64.b64decode(status["certificate"]), now)


def _expired(pem: bytes, now: datetime) -> bool:
    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc < now
    except ValueError:  # somebody else's signer may put anything there
        return False
