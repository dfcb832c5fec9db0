"""`reach` and `dns`: does a client get there, and what does it get?

From a pod, BusyBox's own wget, nc and nslookup ask, as a player would by hand: in the probe pod or one of the level's.
With `via` wget knocks at the address of a Gateway, Ingress or Service and names the host that it wants in a header;
`headers` are sent beside it.
From outside, it is a request through the API server's proxy to the Service that the URL names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kuartui.checks.evidence import Evidence, NotThereError, Verdict
from kuartui.checks.kind import QuestionKind, every, network
from kuartui.cluster.resources import segment
from kuartui.errors import ApiError, UsageError
from kuartui.game.cel import matches
from kuartui.game.spec import DnsSpec, ReachSpec, ResourceQuery
from kuartui.message import later
from kuartui.translate import tr

if TYPE_CHECKING:
    from kuartui.checks.world import World

ROUTES = ResourceQuery(kind="HTTPRoute", api_version="gateway.networking.k8s.io/v1")
SHOWN = 40  # characters of a page
SILENCE = 20.0  # seconds until glibc gives up on a name that no server answers for; wget's -T does not cut that short
MARK = "kuartui-exit="
_LOOP = (
    'n=0; while [ "$n" -lt {times} ]; do said=$("$@" 2>&1); '
    f"""printf '%s\\n{MARK}%s\\n' "$said" "$?"; n=$((n+1)); done"""
)
_STATUS = re.compile(r"^\s*(?:wget: server returned error: )?HTTP/1\.[01] (\d{3})", re.MULTILINE)
_ADDRESS = re.compile(r"^Address(?: \d+)?:\s*(\S+)", re.MULTILINE)


async def observe(spec: ReachSpec, world: World, _name: str) -> Evidence:
    if spec.from_ == "outside":
        return {"attempts": [await _outside(spec, world) for _ in range(spec.times)]}
    url = urlsplit(spec.url)
    seconds = str(max(1, round(spec.timeout)))
    command: tuple[str, ...]
    if url.scheme == "tcp":
        command = ("nc", "-z", "-w", seconds, url.hostname or "", str(url.port or 80))
    elif spec.via is not None:
        address = await _address(spec.via, world)
        place = url._replace(netloc=f"{address}:{url.port or 80}").geturl()
        command = _wget(place, seconds, {"Host": url.hostname or ""} | spec.headers)
    elif url.scheme in ("http", "https"):
        command = _wget(spec.url, seconds, spec.headers)
    else:
        raise UsageError(later("cannot reach {url}: the scheme must be http, https or tcp", url=spec.url))
    limit = spec.timeout * spec.times + SILENCE
    if spec.times == 1:  # no shell for what needs none
        result = await world.run(spec.from_, command, limit)
        return {"attempts": [_attempt(result.stderr + result.stdout, connected=result.exit_code == 0)]}
    loop = ("sh", "-c", _LOOP.format(times=spec.times), "probe")
    result = await world.run(spec.from_, (*loop, *command), limit)
    return {"attempts": parse(result.stdout)}


def _wget(url: str, seconds: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    lines = [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    return ("wget", "-q", "-S", "-T", seconds, *lines, "-O", "-", url)


async def _address(via: ResourceQuery, world: World) -> str:
    """What an object's status says of where it listens. NotThereError while it says nothing."""
    found = await world.objects.all(via)
    status = found[0].get("status") or {} if found else {}
    places = [*(status.get("addresses") or []), *((status.get("loadBalancer") or {}).get("ingress") or [])]
    for place in places:
        address = place.get("value") or place.get("ip") or place.get("hostname")
        if address:
            return _whole(str(address))
    raise NotThereError(f"{via.kind} {via.name} has no address" if found else f"there is no {via.kind} {via.name}")


def _whole(address: str) -> str:
    """With a dot behind a name: then the resolver asks for that alone, and not first for it in each domain of its
    search list, the last of which is often one of the host's. Addresses stay as they are."""
    return f"{address}." if address[-1].isalpha() and ":" not in address else address


def _reads(spec: ReachSpec) -> tuple[ResourceQuery, ...]:
    if spec.via is None:
        return network(spec)
    routes = (ROUTES,) if spec.via.kind == "Gateway" else ()  # an Ingress holds its own rules
    return (*network(spec), spec.via, *routes)


def parse(output: str) -> list[dict[str, Any]]:
    """The output of each turn of the loop: its text, then its exit code after the mark."""
    found, text = [], ""
    for line in output.splitlines():
        if line.startswith(MARK):
            found.append(_attempt(text, connected=line == f"{MARK}0"))
            text = ""
        else:
            text += line + "\n"
    return found


def _attempt(text: str, *, connected: bool) -> dict[str, Any]:
    """An answer counts as a connection, however the command ended."""
    status = _STATUS.findall(text)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("  "))  # -S indents the headers
    return {
        "connected": connected or bool(status),
        "status": int(status[-1]) if status else 0,
        "body": body.strip()[:2000],
    }


async def _outside(spec: ReachSpec, world: World) -> dict[str, Any]:
    url = urlsplit(spec.url)
    service, _, namespace = (url.hostname or "").partition(".")
    place = f"/api/v1/namespaces/{segment(namespace.split('.')[0] or world.level.namespace)}/services"
    target = segment(f"{url.scheme}:{service}:{url.port or (443 if url.scheme == 'https' else 80)}")
    try:
        body = await world.api.request("GET", f"{place}/{target}/proxy{url.path or '/'}", timeout=spec.timeout + 10)
    except ApiError as error:
        return {"connected": error.code not in (502, 503, 504), "status": error.code, "body": error.message[:2000]}
    return {"connected": True, "status": 200, "body": str(body)[:2000]}


def judge(spec: ReachSpec, evidence: Evidence) -> Verdict:
    attempts = evidence["attempts"]
    if len(attempts) < spec.times:
        return Verdict(None, problem=tr("only {n} of {all} attempts gave a result", n=len(attempts), all=spec.times))
    good = sum(_as_expected(spec, attempt) for attempt in attempts)
    seen = ", ".join(dict.fromkeys(_words(spec, attempt) for attempt in attempts))
    if spec.share is not None:
        return Verdict(
            spec.share.least <= 100 * good / spec.times <= spec.share.most, tr("{n} of {all}", n=good, all=spec.times)
        )
    prefix = f"{tr('{n} of {all}', n=good, all=spec.times)}: " if spec.times > 1 else ""
    return Verdict(good == spec.times, f"{prefix}{seen}")


def _as_expected(spec: ReachSpec, attempt: dict[str, Any]) -> bool:
    if spec.expect == "deny":
        return not attempt["connected"]
    return (
        attempt["connected"]
        and (spec.status is None or attempt["status"] == spec.status)
        and (spec.body is None or matches(spec.body, attempt["body"]))
        and (spec.not_body is None or not matches(spec.not_body, attempt["body"]))
    )


def _words(spec: ReachSpec, attempt: dict[str, Any]) -> str:
    """What was seen: of the page, its first words, where it was the page that was not as expected."""
    if attempt["status"]:
        about_page = spec.status in (None, attempt["status"]) and not _as_expected(spec, attempt)
        page = " ".join(re.sub(r"<[^>]*>", " ", attempt["body"]).split())
        return f"HTTP {attempt['status']}" + (
            f": {page[:SHOWN]}" if about_page and page and spec.expect == "allow" else ""
        )
    return tr("connected") if attempt["connected"] else tr("no connection")


async def observe_dns(spec: DnsSpec, world: World, _name: str) -> Evidence:
    result = await world.run(spec.from_, ("nslookup", spec.name), 5)
    answer = result.stdout.partition("\n\n")[2] or result.stdout  # the first paragraph names the server
    return {"exit": result.exit_code, "addresses": _ADDRESS.findall(answer)}


def judge_dns(spec: DnsSpec, evidence: Evidence) -> Verdict:
    addresses = evidence["addresses"] if evidence["exit"] == 0 else []
    seen = ", ".join(addresses) or tr("no such name")
    if spec.expect == "nxdomain":
        return Verdict(not addresses, seen)
    return Verdict(bool(addresses) and (not spec.addresses or set(addresses) == set(spec.addresses)), seen)


KIND = QuestionKind("reach", _reads, observe, judge, period=every)
DNS = QuestionKind("dns", network, observe_dns, judge_dns, period=every)
