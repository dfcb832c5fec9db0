"""Claimed devices on a node: no driver for any is installed here, so pods that got some wait for one.

After pkg/kubelet/cm/dra/manager.go. Who makes ResourceSlices by hand sees what the scheduler does with them, and then this.
"""

from __future__ import annotations

from typing import Any

from kuartui.embedded.client import Client

Obj = dict[str, Any]

CLAIMS = "resourceclaims.resource.k8s.io"


def missing_driver(client: Client, pod: Obj) -> str:
    """Why the devices of a pod cannot be prepared, "" if it has none."""
    told = {
        one["name"]: one.get("resourceClaimName")
        for one in (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    }
    for entry in pod["spec"].get("resourceClaims") or ():
        name = entry.get("resourceClaimName") or told.get(entry["name"])
        claim = client.get(CLAIMS, pod["metadata"]["namespace"], name) if name else None
        allocation = ((claim or {}).get("status") or {}).get("allocation") or {}
        for result in (allocation.get("devices") or {}).get("results") or ():
            return f"DRA driver {result['driver']} is not registered"
    return ""
