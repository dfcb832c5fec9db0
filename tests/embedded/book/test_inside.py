"""The API server as pods meet it, at its Service."""

from __future__ import annotations

import json

from tests.embedded.book.conftest import Book

CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: "curlimages/curl:8.14.1", command: [sleep, infinity]}]}
"""
CURL = """
cd /var/run/secrets/kubernetes.io/serviceaccount
curl -s --cacert ca.crt -H "Authorization: Bearer $(cat token)" https://kubernetes.default.svc"""


async def test_curl_in_a_pod_gets_what_curl_outside_gets(book: Book) -> None:
    await book.apply(CLIENT)
    await book.wait(5)
    versions = await book.sh("client", f"{CURL}/api")
    assert versions.startswith('{\n  "kind": "APIVersions",\n')
    refusal = await book.sh("client", f"{CURL}/api/v1/secrets")
    assert json.loads(refusal)["reason"] == "Forbidden"
    assert refusal.startswith('{\n  "kind": "Status",\n')
    assert "audit-id:" in (await book.sh("client", f"{CURL}/version -i")).lower()
    assert json.loads(await book.sh("client", f"{CURL}/api/v1/namespaces/def%61ult/pods/nobody"))["code"] == 403
