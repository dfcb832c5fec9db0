"""Kernel parameters of a pod's own namespaces: which ones a pod may set, and what they are where it does not.

After pkg/kubelet/sysctl: a node takes the safe ones only, unless its kubelet was told to allow others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Obj = dict[str, Any]

DEFAULTS: Mapping[str, str] = {
    "kernel.shm_rmid_forced": "0",
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.ipv4.ip_local_reserved_ports": "",
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0\t2147483647",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_keepalive_intvl": "75",
    "net.ipv4.tcp_keepalive_probes": "9",
    "net.ipv4.tcp_keepalive_time": "7200",
    "net.ipv4.tcp_rmem": "4096\t131072\t6291456",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_wmem": "4096\t16384\t4194304",
}
"""The safe ones, and what containerd and Linux make of them."""


def wanted(pod: Obj) -> dict[str, str]:
    """What the pod sets, by name; slashes are dots."""
    listed = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return {one["name"].replace("/", "."): str(one.get("value", "")) for one in listed}


def forbidden(pod: Obj) -> str:
    """Why the node does not take the pod; "" if it does."""
    host = bool(pod["spec"].get("hostNetwork"))
    for name in wanted(pod):
        if name not in DEFAULTS:
            return f'forbidden sysctl: "{name}" not allowlisted'
        if host and name.startswith("net."):
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
    return ""


def in_force(pod: Obj) -> dict[str, str]:
    """All of them, as the pod's containers see them."""
    return {**DEFAULTS, **wanted(pod)}
