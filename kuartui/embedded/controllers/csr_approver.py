"""Approves the requests that nodes make for their own client certificates, if they have the right to.

After pkg/controller/certificates/approver (csrapproving): a bootstrap token's first certificate, and its renewal by the
node itself. Everything else waits for a person.
"""

from __future__ import annotations

from functools import cached_property

from kuartui.embedded.api.request import User
from kuartui.embedded.auth.rbac import Action, Authorizer
from kuartui.embedded.controllers.base import Controller
from kuartui.embedded.controllers.csr import KUBELET_CLIENT, REQUESTS, complaint, parsed, with_condition
from kuartui.embedded.store import Event, EventType

RIGHTS = (
    ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."),
    ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."),
)


class CertificateApprover(Controller):
    name = "certificate-controller"

    @cached_property
    def _authorizer(self) -> Authorizer:
        """Made when a node asks for the first time, which most clusters never see."""
        return Authorizer(self.client.store)

    def setup(self) -> None:
        self.watch(REQUESTS, self._request_changed)

    def _request_changed(self, event: Event) -> None:
        if event.type is not EventType.DELETED:
            self.enqueue_object(event)

    async def reconcile(self, namespace: str, name: str) -> None:
        request = self.client.get(REQUESTS, "", name)
        if request is None:
            return
        status, spec = request.get("status") or {}, request["spec"]
        decided = {one["type"] for one in status.get("conditions") or ()} & {"Approved", "Denied"}
        if status.get("certificate") or decided or spec.get("signerName") != KUBELET_CLIENT:
            return
        asked = parsed(spec["request"])
        if complaint(KUBELET_CLIENT, asked, spec.get("usages") or []):
            return
        extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
        user = User(spec.get("username", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)
        own = user.name in {str(one.value) for one in asked.subject if one.oid.dotted_string == "2.5.4.3"}
        for right, message in RIGHTS:
            if right == "selfnodeclient" and not own:
                continue
            group = "certificates.k8s.io"
            if self._authorizer.allows(user, Action("create", group, "certificatesigningrequests", right)):
                approved = with_condition(request, "Approved", "AutoApproved", message, self.clock.now())
                conditions = {"status": {"conditions": approved["status"]["conditions"]}}
                await self.client.patch(REQUESTS, "", name, conditions, "approval")
                return
