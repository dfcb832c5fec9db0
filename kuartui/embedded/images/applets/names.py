"""nslookup (busybox new and old, BIND's), dig, host, getent: asking DNS from a container."""

from __future__ import annotations

from kuartui.embedded.network import Answer, NameNotResolved
from kuartui.embedded.network.dns import SHORT_TRY_SECONDS
from kuartui.embedded.node.runtime.process import Process

TIMED_OUT = ";; connection timed out; no servers could be reached\n\n"
BIND_TRIES = 3
CLOSED = "CLOSED"  # rcode of an error: nobody listens at the server's port


def _servers(process: Process) -> list[str]:
    return list(process.host.dns.nameservers) if process.host else []


def _reverse(name: str) -> str | None:
    parts = name.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        return ".".join(reversed(parts)) + ".in-addr.arpa"
    return None


def _words(process: Process) -> tuple[str, list[str]]:
    qtype, rest = "", []
    for word in process.argv[1:]:
        if word.startswith(("-type=", "-query=", "-querytype=", "-q=")):
            qtype = word.partition("=")[2].upper()
        elif not word.startswith("-"):
            rest.append(word)
    return qtype, rest


async def nslookup(process: Process) -> int:
    """busybox ≥ 1.29: asks for A and AAAA; only names without a dot go through the search list, and through all of it."""
    qtype, rest = _words(process)
    if not rest:
        await process.err(
            "BusyBox v1.36.1 multi-call binary.\n\nUsage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]\n"
        )
        return 1
    name = rest[0]
    server = await _server(process, rest)
    if not server:
        return 1
    reverse = _reverse(name)
    types = ["PTR"] if reverse and not qtype else [qtype] if qtype else ["A", "AAAA"]
    searches = process.host.dns.searches if process.host else ()
    names = [reverse or name] if "." in name or not searches else [f"{name}.{domain}" for domain in searches]
    answers: list[tuple[str, str, Answer]] = []
    try:
        for kind in types:
            for candidate in names:
                said = await process.network.query(process.ip, candidate, kind, server, seconds=SHORT_TRY_SECONDS)
                answers.append((candidate, kind, said))
    except ConnectionRefusedError:
        await process.err(f"nslookup: write to '{server}': Connection refused\n")
        await process.out(TIMED_OUT)
        return 1
    except OSError:
        await process.out(TIMED_OUT)
        return 1
    await process.out(f"Server:\t\t{server}\nAddress:\t{server}:53\n\n")
    failed = False
    for candidate, _, answer in answers:
        if answer.rcode != "NOERROR":
            failed = True
            await process.out(f"** server can't find {candidate.rstrip('.')}: {answer.rcode}\n")
        for record in answer.records:
            await process.out(_busybox_record(record.name, record.type, record.data))
        await process.out("\n")  # behind each answer, be it empty
    return 1 if failed else 0


def _busybox_record(name: str, kind: str, data: str) -> str:
    match kind:
        case "A" | "AAAA":
            return f"Name:\t{name}\nAddress: {data}\n"
        case "CNAME":
            return f"{name}\tcanonical name = {data}\n"
        case "PTR":
            return f"{name}\tname = {data}\n"
        case "SRV":
            return f"{name}\tservice = {data}\n"
        case "TXT":
            return f"{name}\ttext = {data}\n"
    return f"{name}\t{kind.lower()} = {data}\n"


async def _server(process: Process, rest: list[str]) -> str:
    if len(rest) > 1:
        try:
            return (await process.resolve(rest[1]))[0]
        except NameNotResolved:
            await process.err(f"nslookup: bad address '{rest[1]}'\n")
            return ""
    return next(iter(_servers(process)), "127.0.0.1")


async def old_nslookup(process: Process) -> int:
    """busybox ≤ 1.28: the C library resolves, search list and all; Kubernetes' documentation shows this one."""
    _, rest = _words(process)
    if not rest:
        await process.err("BusyBox v1.28.4 multi-call binary.\n\nUsage: nslookup [HOST] [SERVER]\n")
        return 1
    server = rest[1] if len(rest) > 1 else next(iter(_servers(process)), "127.0.0.1")
    await process.out(f"Server:    {server}\nAddress 1: {server}{await _known_as(process, server)}\n\n")
    try:
        addresses = await process.resolve(rest[0])
    except NameNotResolved:
        await process.err(f"nslookup: can't resolve '{rest[0]}'\n")
        return 1
    await process.out(f"Name:      {rest[0]}\n")
    for number, address in enumerate(addresses, 1):
        await process.out(f"Address {number}: {address}{await _known_as(process, address)}\n")
    return 0


async def _known_as(process: Process, address: str) -> str:
    reverse = _reverse(address)
    try:
        answer = await process.network.query(process.ip, reverse, "PTR") if reverse else None
    except OSError:
        return ""
    return f" {answer.records[0].data}" if answer and answer.records else ""


def _unreached(server: str, error: OSError) -> str:
    """What BIND's tools say since 9.18 of each of their tries."""
    refused = isinstance(error, ConnectionRefusedError) or getattr(error, "rcode", "") == CLOSED
    why = "connection refused" if refused else "timed out"
    return f";; communications error to {server}#53: {why}\n" * BIND_TRIES


async def new_bind_nslookup(process: Process) -> int:
    """BIND's nslookup since 9.18."""
    return await bind_nslookup(process, new=True)


async def bind_nslookup(process: Process, *, new: bool = False) -> int:
    """BIND's nslookup: search list with ndots, CNAMEs followed."""
    qtype, rest = _words(process)
    if not rest:
        return 0
    server = await _server(process, rest)
    if not server:
        return 1
    reverse = _reverse(rest[0])
    try:
        answer = await process.network.search(
            process.ip, reverse + "." if reverse else rest[0], "PTR" if reverse else qtype or "A"
        )
    except NameNotResolved as error:
        lines = f"{_unreached(server, error)};; no servers could be reached\n\n" if new else TIMED_OUT
        await process.out(lines)
        return 1
    await process.out(f"Server:\t\t{server}\nAddress:\t{server}#53\n\n")
    if answer.rcode != "NOERROR":
        await process.out(f"** server can't find {rest[0]}: {answer.rcode}\n\n")
        return 1
    if not answer.records:
        await process.out(f"*** Can't find {rest[0]}: No answer\n\n")
        return 0
    for record in answer.records:
        text = _busybox_record(record.name, record.type, record.data)
        await process.out(text if record.type in ("A", "AAAA") else text.replace("\n", ".\n"))
    await process.out("\n")
    return 0


async def dig(process: Process) -> int:
    """dig [@server] name [type] [+short] [+search] [+tcp] [-x address]."""
    name, qtype, server, flags = "", "A", "", set()
    words = process.argv[1:]
    while words:
        word = words.pop(0)
        if word.startswith("@"):
            server = word[1:]
        elif word.startswith("+"):
            flags.add(word[1:])
        elif word == "-x" and words:
            name, qtype = _reverse(words.pop(0)) or "", "PTR"
        elif word == "-t" and words:
            qtype = words.pop(0).upper()
        elif word.upper() in ("A", "AAAA", "CNAME", "SRV", "TXT", "PTR", "NS", "SOA", "MX", "ANY"):
            qtype = word.upper()
        elif not word.startswith("-"):
            name = word
    chosen = server or next(iter(_servers(process)), "127.0.0.1")
    protocol = "TCP" if flags & {"tcp", "vc"} else "UDP"
    try:
        address = (await process.resolve(chosen))[0]
        if "search" in flags:
            answer = await process.network.search(process.ip, name, qtype)
        else:
            answer = await process.network.query(process.ip, name or ".", qtype, address, protocol)
    except OSError as error:
        await process.out(_unreached(chosen, error))
        if "short" in flags:
            await process.out(";; no servers could be reached\n")
            return 9
        await process.out(
            f"\n; <<>> DiG 9.18 <<>> {' '.join(process.argv[1:])}\n;; global options: +cmd\n;; no servers could be reached\n"
        )
        return 9
    if "short" in flags:
        await process.out(
            "".join(r.data + ("." if r.type not in ("A", "AAAA", "TXT") else "") + "\n" for r in answer.records)
        )
        return 0
    flag = "qr aa rd" if answer.authoritative else "qr rd ra"
    lines = [
        "",
        f"; <<>> DiG 9.18 <<>> {' '.join(process.argv[1:])}",
        ";; global options: +cmd",
        ";; Got answer:",
        f";; ->>HEADER<<- opcode: QUERY, status: {answer.rcode}, id: 12345",
        f";; flags: {flag}; QUERY: 1, ANSWER: {len(answer.records)}, AUTHORITY: 0, ADDITIONAL: 1",
        "",
        ";; QUESTION SECTION:",
        f";{name.rstrip('.')}.\t\tIN\t{qtype}",
        "",
    ]
    if answer.records:
        lines.append(";; ANSWER SECTION:")
        dots = {"CNAME", "PTR", "SRV"}
        lines += [f"{r.name}.\t{r.ttl}\tIN\t{r.type}\t{r.data}{'.' if r.type in dots else ''}" for r in answer.records]
        lines.append("")
    lines += [";; Query time: 0 msec", f";; SERVER: {address}#53({chosen}) ({protocol})", ""]
    await process.out("\n".join(lines) + "\n")
    return 0


async def host(process: Process) -> int:
    """host name."""
    names = [word for word in process.argv[1:] if not word.startswith("-")]
    if not names:
        return 1
    reverse = _reverse(names[0])
    try:
        answer = await process.network.search(
            process.ip, reverse + "." if reverse else names[0], "PTR" if reverse else "A"
        )
    except NameNotResolved:
        await process.out(TIMED_OUT)
        return 1
    if not answer.records:
        await process.out(f"Host {names[0]} not found: 3({answer.rcode})\n")
        return 1
    words = {"A": "has address", "AAAA": "has IPv6 address", "CNAME": "is an alias for", "PTR": "domain name pointer"}
    for record in answer.records:
        dot = "" if record.type in ("A", "AAAA") else "."
        await process.out(f"{record.name} {words.get(record.type, record.type)} {record.data}{dot}\n")
    return 0


async def getent(process: Process) -> int:
    """getent hosts|ahosts name; getent passwd|group [name or number]."""
    words = process.argv[1:]
    if words[:1] in (["passwd"], ["group"]):
        lines = process.files.read("/etc/" + words[0]).decode().splitlines()
        if len(words) > 1:
            lines = [line for line in lines if words[1] in (line.split(":")[0], line.split(":")[2])]
        await process.out("".join(line + "\n" for line in lines))
        return 0 if lines else 2
    if len(words) < 2 or words[0] not in ("hosts", "ahosts"):
        return 2
    try:
        addresses = await process.resolve(words[1])
    except NameNotResolved:
        return 2
    for address in addresses:
        await process.out(f"{address:15s} {words[1]}\n")
    return 0
