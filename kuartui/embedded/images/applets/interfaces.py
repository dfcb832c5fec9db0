"""ip, ifconfig, netstat, ss, route: what a container's network namespace looks like."""

from __future__ import annotations

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.node.runtime.process import Process


def _mac(ip: str) -> str:
    return "0a:58:" + ":".join(f"{int(part):02x}" for part in ip.split("."))


def _gateway(ip: str) -> str:
    return ip.rpartition(".")[0] + ".1"


async def ip(process: Process) -> int:
    """ip addr, ip route, ip link."""
    words = [word for word in process.argv[1:] if not word.startswith("-")]
    what, address = (words or ["help"])[0], process.ip
    if len(words) > 1 and words[1] in ("add", "del", "delete", "set", "change", "replace", "flush"):
        await process.err("ip: RTNETLINK answers: Operation not permitted\n")
        return 2
    if "address".startswith(what) and what[:1] == "a":
        await process.out(
            "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN qlen 1000\n"
            "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n"
            "    inet 127.0.0.1/8 scope host lo\n       valid_lft forever preferred_lft forever\n"
            "2: eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1500 qdisc noqueue state UP\n"
            f"    link/ether {_mac(address)} brd ff:ff:ff:ff:ff:ff\n"
            f"    inet {address}/24 brd {address.rpartition('.')[0]}.255 scope global eth0\n       valid_lft forever preferred_lft forever\n"
        )
    elif "route".startswith(what):
        await process.out(
            f"default via {_gateway(address)} dev eth0\n{address.rpartition('.')[0]}.0/24 dev eth0 scope link  src {address}\n"
        )
    elif "link".startswith(what):
        await process.out(
            f"1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536\n2: eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500\n    link/ether {_mac(address)}\n"
        )
    else:
        await process.err(f"ip: invalid argument '{what}' to 'ip'\n")
        return 1
    return 0


async def ifconfig(process: Process) -> int:
    """ifconfig."""
    address = process.ip
    await process.out(
        f"eth0      Link encap:Ethernet  HWaddr {_mac(address).upper()}\n"
        f"          inet addr:{address}  Bcast:{address.rpartition('.')[0]}.255  Mask:255.255.255.0\n"
        "          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1\n\n"
        "lo        Link encap:Local Loopback\n          inet addr:127.0.0.1  Mask:255.0.0.0\n          UP LOOPBACK RUNNING  MTU:65536  Metric:1\n\n"
    )
    return 0


async def route(process: Process) -> int:
    """route -n."""
    await process.out(
        "Kernel IP routing table\nDestination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
        f"0.0.0.0         {_gateway(process.ip):15s} 0.0.0.0         UG    0      0        0 eth0\n"
    )
    return 0


async def netstat(process: Process) -> int:
    """netstat [-tulnap]: the ports that somebody in the pod listens on, with -l or -a."""
    options, _ = await parse(process, "tulnapWwrex")
    which = "servers and established" if "a" in options else "only servers" if "l" in options else "w/o servers"
    owner = "PID/Program name    " if "p" in options else ""
    await process.out(
        f"Active Internet connections ({which})\n"
        f"Proto Recv-Q Send-Q Local Address           Foreign Address         State       {owner}\n"
    )
    host = process.host
    protocols = {name for letter, name in (("t", "TCP"), ("u", "UDP")) if letter in options} or {"TCP", "UDP"}
    for (port, protocol, bind), _ in sorted(host.listeners.items()) if host and which != "w/o servers" else ():
        if protocol not in protocols:
            continue
        local = f"{bind or '0.0.0.0'}:{port}"
        state = "LISTEN" if protocol == "TCP" else ""
        line = f"{protocol.lower():5s}      0      0 {local:23s} {'0.0.0.0:*':23s} {state:11s} "
        await process.out(line + ("-\n" if owner else "\n"))
    return 0


async def ss(process: Process) -> int:
    """ss -tln."""
    host = process.host
    await process.out("State   Recv-Q  Send-Q   Local Address:Port   Peer Address:Port  Process\n")
    for (port, protocol, bind), _ in sorted(host.listeners.items()) if host else ():
        if protocol == "TCP":
            local = f"{bind or '0.0.0.0'}:{port}"
            await process.out(f"LISTEN  0       128      {local:20s} 0.0.0.0:*\n")
    return 0
