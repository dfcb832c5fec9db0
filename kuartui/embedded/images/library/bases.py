"""Base images: what busybox, Alpine and Debian userlands consist of. Other images are these plus a program."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from kuartui.embedded.images.applets import (
    archive,
    basic,
    encodings,
    filesystem,
    interfaces,
    jails,
    kernel,
    names,
    packages,
    processes,
    sockets,
    status,
    terminals,
    timing,
    wget,
)
from kuartui.embedded.images.applets.curl import curl
from kuartui.embedded.images.model import ImageFile, Program

OVERRIDES: Mapping[str, Program] = {
    "sleep": timing.sleep, "usleep": timing.usleep, "date": timing.date, "timeout": timing.timeout,
    "uptime": timing.uptime, "ls": filesystem.ls, "touch": filesystem.touch, "chown": filesystem.chown,
    "tail": filesystem.tail, "tee": filesystem.tee, "df": filesystem.df, "mount": filesystem.mount, "stat": status.stat, "sysctl": kernel.sysctl, "uname": kernel.uname, "hostname": basic.hostname,
    "id": basic.ident, "whoami": basic.whoami, "which": basic.which, "env": basic.env, "printenv": basic.printenv,
    "ps": processes.ps, "top": processes.top, "free": processes.free, "killall": processes.killall,
    "pidof": processes.pidof, "pgrep": processes.pgrep, "pkill": processes.pkill, "nohup": basic.nohup,
    "setsid": basic.nohup, "chroot": jails.chroot, "stty": terminals.stty, "base64": encodings.base64, "tty": terminals.tty, "head": filesystem.head, "watch": timing.watch, "vi": packages.vi, "tar": archive.tar,
}  # fmt: skip
DIRECT: Mapping[str, Program] = {
    "true": basic.true, "false": basic.false, "echo": basic.echo, "cat": basic.cat, "test": basic.test,
    "[": basic.test, "kill": processes.kill, "pwd": basic.pwd,
}  # fmt: skip
BUSYBOX_NET: Mapping[str, Program] = {
    "ip": interfaces.ip, "ifconfig": interfaces.ifconfig, "netstat": interfaces.netstat, "route": interfaces.route,
    "wget": wget.wget, "nc": sockets.nc, "telnet": sockets.telnet, "ping": sockets.ping, "nslookup": names.nslookup,
}  # fmt: skip
# Commands of the sandboxed shell that every userland has.
COMMON = tuple(
    """arch awk base32 basename chgrp chmod cksum clear cmp comm cp cut dd diff dirname du egrep expand expr factor
    fgrep find flock fold grep groups gunzip gzip hexdump hostid install less ln logname md5sum mkdir mkfifo mktemp
    more mv nice nl nproc od paste patch printf readlink realpath rev rm rmdir sed seq sha1sum sha256sum sha512sum shuf
    sort split strings sum sync tac tr tree truncate tsort uname unexpand uniq unlink unzip users
    wc who xargs xxd yes zcat""".split()
)


PROCPS = ("ps", "top", "free", "uptime", "pgrep", "pkill", "pidof")
"""What Debian's images lack and Ubuntu's have."""


def text(content: str, mode: int = 0o644) -> ImageFile:
    """A text file."""
    return ImageFile(content.encode(), mode)


def directory(mode: int = 0o755, uid: int = 0, gid: int = 0) -> ImageFile:
    """A directory."""
    return ImageFile(None, mode, uid, gid)


@cache
def userland(kind: str) -> tuple[dict[str, Program], dict[str, Program], frozenset[str], dict[str, str]]:
    """programs, direct programs, shell commands and shells of busybox, alpine or debian."""
    places = ["/bin", "/usr/bin"] if kind == "debian" else ["/bin"]
    overrides = dict(OVERRIDES)
    if kind != "debian":
        overrides |= BUSYBOX_NET
    if kind == "alpine":
        overrides["apk"] = packages.apk
    if kind == "debian":
        overrides |= {"apt": packages.apt, "apt-get": packages.apt}
        for absent in ("usleep", "killall"):
            overrides.pop(absent, None)
        for absent in PROCPS:
            overrides.pop(absent, None)
    programs = {f"{place}/{name}": program for place in places for name, program in overrides.items()}
    if kind != "debian":
        programs["/bin/busybox"] = basic.busybox
    if kind != "busybox":
        programs["/usr/bin/getent"] = names.getent
    direct = {f"{place}/{name}": program for place in places for name, program in DIRECT.items()}
    missing = {"vi", "xxd", "less", "unzip", "patch", "tree"} if kind == "debian" else {"strings"}
    commands = frozenset(f"{place}/{name}" for place in places for name in COMMON if name not in missing)
    if kind == "debian":
        shells = {
            f"{place}/{name}": flavour
            for place in places
            for name, flavour in (("sh", "dash"), ("dash", "dash"), ("bash", "bash"))
        }
    else:
        shells = {"/bin/sh": "ash", "/bin/ash": "ash"}
    return programs, direct, commands, shells


def procps_programs() -> dict[str, Program]:
    """Those of Debian's package procps, where an image has it."""
    return {f"{place}/{name}": OVERRIDES[name] for place in ("/bin", "/usr/bin") for name in PROCPS}


def curl_programs() -> dict[str, Program]:
    """curl, where an image has it."""
    return {"/usr/bin/curl": curl}
