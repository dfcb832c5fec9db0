"""Linux capabilities: what root may do in a container, and how the kernel shows it in /proc.

Names and numbers are those of capabilities(7), without CAP_; the set that a container has unasked is containerd's.
"""

from __future__ import annotations

from collections.abc import Iterable

NAMES = tuple(
    """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()  # noqa: SIM905
)
EVERY = frozenset(NAMES)
DEFAULT = frozenset(
    """AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID
    SYS_CHROOT""".split()  # noqa: SIM905
)


def granted(add: Iterable[str], drop: Iterable[str], *, privileged: bool = False) -> frozenset[str]:
    """The bounding set of a container: `add` wins over `drop: [ALL]`, as in containerd's CRI."""
    if privileged:
        return EVERY
    add, drop = {_bare(name) for name in add}, {_bare(name) for name in drop}
    kept = EVERY if "ALL" in add else DEFAULT
    kept = frozenset() if "ALL" in drop else kept
    return (kept | (add & EVERY)) - (drop - {"ALL"})


def _bare(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def mask(held: Iterable[str]) -> str:
    """The 16 hexadecimal digits of /proc/PID/status."""
    return f"{sum(1 << NAMES.index(name) for name in held):016x}"
