"""CoreDNS as a program: DNS over UDP and TCP, its log and its metrics, the HTTP ports of its plugins."""

from __future__ import annotations

import re
import struct

import pytest

from kuartui.embedded.network.corefile import DEFAULT
from kuartui.embedded.network.dns import Answer, Record
from kuartui.embedded.network.dns_wire import MalformedError, Question, decode, encode
from kuartui.embedded.node.runtime import Container, Mount, Volume
from tests.embedded.containers import World

WEB = "web.default.svc.cluster.local"


async def coredns(world: World, corefile: str = DEFAULT) -> Container:
    """CoreDNS at 10.244.0.2 (the first pod of a world), beside a Service web."""
    config = Volume()
    config.fs.write_file("/Corefile", corefile.encode())
    mounts = (Mount("/etc/coredns", config),)
    found = await world.start(
        "registry.k8s.io/coredns/coredns:v1.13.1", mounts=mounts, args=("-conf", "/etc/coredns/Corefile")
    )
    world.service("web", "10.96.0.7", 80, [])
    return found


def question(name: str, number: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", number, 1)


async def test_questions_over_tcp_in_bytes(world: World) -> None:
    await coredns(world)
    client = world.sandbox("client")
    stream = await world.network.connect(client.ip, "10.244.0.2", 53)
    for name, rcode, answers in ((WEB, 0, 1), ("nope.default.svc.cluster.local", 3, 0)):
        message = question(name)
        await stream.write(len(message).to_bytes(2) + message)
        said = await stream.read()
        assert int.from_bytes(said[:2]) == len(said) - 2
        id_, flags, asked, found, *_ = struct.unpack_from("!6H", said, 2)
        assert (id_, flags & 0xF, asked, found) == (7, rcode, 1, answers)
        assert flags & 0x8500 == 0x8500  # a response, authoritative, recursion was desired
        if answers:
            assert said.endswith(struct.pack("!2HIH", 1, 1, 30, 4) + bytes([10, 96, 0, 7]))
    await stream.write(b"\0\2xx")
    assert await stream.read() == b""


async def test_a_reload_says_what_is_in_force(world: World) -> None:
    """At the start and after each change, by a hash that is another for another Corefile."""
    container = await coredns(world)
    first = world.log(container).splitlines()
    assert (first[0], first[2][:8]) == (".:53", "CoreDNS-")
    assert re.fullmatch(r"\[INFO\] plugin/reload: Running configuration SHA512 = [0-9a-f]{128}", first[1])
    container.spec.mounts[0].volume.fs.write_file("/Corefile", DEFAULT.replace("cache 30", "cache 10").encode())
    await world.clock.advance(61)
    again = world.log(container).splitlines()[len(first) :]
    assert (again[0], again[2]) == ("[INFO] Reloading", "[INFO] Reloading complete")
    assert again[1].startswith("[INFO] plugin/reload: Running configuration SHA512 = ")
    assert again[1] != first[1]


async def test_dig_over_tcp(world: World) -> None:
    await coredns(world)
    shell = await world.start("nicolaka/netshoot", "sleep", "1000")
    code, out, _ = await world.exec(shell, "dig", "+tcp", "@10.244.0.2", WEB)
    assert code == 0
    assert f"{WEB}.\t30\tIN\tA\t10.96.0.7" in out
    assert "(TCP)" in out


async def test_the_log_plugin_tells_of_each_question(world: World) -> None:
    container = await coredns(world, DEFAULT.replace("errors", "log"))
    await world.network.query("10.244.0.2", WEB, "A", "10.244.0.2")
    await world.network.query("10.244.0.2", "nope." + WEB, "AAAA", "10.244.0.2", "TCP")
    lines = world.log(container).splitlines()[-2:]
    assert f'"A IN {WEB}. udp 47 false 512" NOERROR qr,aa,rd 92 ' in lines[0]
    assert f'"AAAA IN nope.{WEB}. tcp 52 false 512" NXDOMAIN qr,aa,rd 52 ' in lines[1]


async def test_metrics_count_questions(world: World) -> None:
    container = await coredns(world)
    for protocol in ("UDP", "UDP", "TCP"):
        await world.network.query("10.244.0.2", WEB, "A", "10.244.0.2", protocol)
    assert " IN " not in world.log(container)  # nobody asked for the log plugin
    shell = await world.start("curlimages/curl", "sleep", "1000")
    _, out, _ = await world.exec(shell, "curl", "-s", "10.244.0.2:9153/metrics")
    where = 'server="dns://:53",view="",zone="."'
    assert f'coredns_dns_requests_total{{family="1",proto="udp",{where},type="A"}} 2' in out
    assert f'coredns_dns_requests_total{{family="1",proto="tcp",{where},type="A"}} 1' in out
    assert f'coredns_dns_responses_total{{rcode="NOERROR",{where}}} 3' in out


async def test_ports_are_those_of_the_plugins(world: World) -> None:
    await coredns(world, ".:53 {\n  health :9090\n  prometheus\n}\n")
    shell = await world.start("curlimages/curl", "sleep", "1000")
    assert (await world.exec(shell, "curl", "-s", "10.244.0.2:9090/health"))[1] == "OK"
    for port in (8080, 8181, 9153):  # not asked for, not asked for, on loopback only
        assert (await world.exec(shell, "curl", "-s", f"10.244.0.2:{port}/"))[0] == 7


def test_records_in_bytes() -> None:
    records = (Record("a.b", "CNAME", "c.d"), Record("c.d", "SRV", "0 100 80 e.f"), Record("c.d", "TXT", "x"))
    said = encode(Question(1, 0, "a.b", "ANY"), Answer("NOERROR", records, authoritative=False))
    assert b"\1c\1d\0" in said
    assert struct.pack("!3H", 0, 100, 80) + b"\1e\1f\0" in said
    assert said.endswith(b"\0\2\1x")
    assert struct.unpack_from("!6H", said)[1:4] == (0x8080, 1, 3)


@pytest.mark.parametrize("message", [b"", b"\0" * 12, question("a.b")[:-1], b"\0\1\x80\0" + question("a")[4:]])
def test_what_is_no_question(message: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(message)
