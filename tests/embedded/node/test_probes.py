"""Probes: what they make of a container, and the words of their events."""

from __future__ import annotations

import ssl

import pytest

from kuartui.embedded.network import Stream
from kuartui.embedded.network import http as network_http
from kuartui.embedded.network.tls import load_pem, self_signed, tls_handler
from kuartui.embedded.node.probes import grpc
from kuartui.embedded.node.runtime.process import Process

REDIRECTS = {"loop": "/loop", "on": "/500", "away": "http://elsewhere.example/", "default-port": "http://{ip}/"}


async def web(process: Process) -> int:
    """Answers HTTP with the status in the path, 200 for others; argv[1] is the port."""

    async def app(request: network_http.Request) -> network_http.Response:
        path = request.path.strip("/")
        if path == "slow":
            await process.clock.sleep(60)
        if path in REDIRECTS:
            return network_http.reply(
                302, headers=[("Location", REDIRECTS[path].format(ip=process.container.sandbox.ip))]
            )
        return network_http.reply(int(path) if path.isdigit() else 200, "ok")

    process.listen(int(process.argv[1]), network_http.server(app))
    await process.signals("TERM").get()
    return 0


async def health(process: Process) -> int:
    """gRPC health that answers SERVING for "" and NOT_SERVING for anything else."""

    async def serve(stream: Stream) -> None:
        await grpc.serve(stream, lambda service: "NOT_SERVING" if service else "SERVING")

    process.listen(int(process.argv[1]), serve)
    await process.signals("TERM").get()
    return 0


@pytest.fixture(autouse=True)
def servers(monkeypatch, programs):
    monkeypatch.setitem(programs, "/bin/web", web)
    monkeypatch.setitem(programs, "/bin/health", health)


def server(**probes):
    return {"name": "c", "command": ["web", "8080"], "ports": [{"name": "http", "containerPort": 8080}]} | probes


def http(path="/", **more):
    return {"httpGet": {"path": path, "port": "http"}, "periodSeconds": 1} | more


async def test_readiness_waits_for_what_others_say(cluster):
    await cluster.pod(readinessGates=[{"conditionType": "example.com/in-rotation"}])
    await cluster.run()
    assert cluster.condition("Ready")["reason"] == "ReadinessGatesNotReady"
    for told in ("True", "False"):
        others = [one for one in cluster.get()["status"]["conditions"] if one["type"] != "example.com/in-rotation"]
        conditions = [*others, {"type": "example.com/in-rotation", "status": told}]
        await cluster.client.patch("pods", "default", "p", {"status": {"conditions": conditions}}, "status")
        await cluster.run()
        assert cluster.condition("Ready")["status"] == told


async def test_readiness_follows_the_probe(cluster):
    probe = {"exec": {"command": ["check", "/tmp/ready"]}, "periodSeconds": 1}
    await cluster.pod(containers=[{"name": "c", "readinessProbe": probe}])
    await cluster.run()
    assert cluster.get()["status"]["phase"] == "Running"
    assert cluster.condition("Ready")["message"] == "containers with unready status: [c]"
    assert cluster.condition("Ready")["reason"] == "ContainersNotReady"
    assert cluster.events("Unhealthy")[0] == "Readiness probe failed: "
    await cluster.exec("touch", "/tmp/ready")
    await cluster.run(1.5)
    assert cluster.condition("Ready")["status"] == "True"
    assert cluster.status()["ready"] is True


async def test_three_failures_make_it_unready_again(cluster):
    probe = {"exec": {"command": ["check", "/tmp/ready"]}, "periodSeconds": 1}
    hook = {"postStart": {"exec": {"command": ["touch", "/tmp/ready"]}}}
    await cluster.pod(containers=[{"name": "c", "readinessProbe": probe, "lifecycle": hook}])
    await cluster.run()
    assert cluster.status()["ready"] is True
    container = cluster.fleet.container(cluster.get(), "c")
    container.files.remove("/tmp/ready")
    await cluster.run(1.5)
    assert cluster.status()["ready"] is True
    await cluster.run(2)
    assert cluster.status()["ready"] is False


async def test_liveness_failure_restarts(cluster):
    await cluster.pod(containers=[server(livenessProbe=http("/500"))])
    await cluster.run(2.9)
    assert cluster.status()["restartCount"] == 0
    await cluster.run(1.5)
    assert cluster.status()["restartCount"] == 1
    assert cluster.events("Unhealthy")[0] == "Liveness probe failed: HTTP probe failed with statuscode: 500"
    assert cluster.events("Killing") == ["Container c failed liveness probe, will be restarted"]


async def test_a_failed_liveness_probe_under_never_ends_the_pod(cluster):
    await cluster.pod(containers=[server(livenessProbe=http("/500"))], restartPolicy="Never")
    await cluster.run(6)
    assert cluster.events("Killing") == ["Container c failed liveness probe"]
    assert cluster.get()["status"]["phase"] == "Succeeded"  # web ends with 0 on SIGTERM


@pytest.mark.parametrize(("pod", "container"), [("Never", "Always"), ("Always", "Never")])
async def test_a_container_of_its_own_restart_policy_that_is_not_alive(cluster, pod, container):
    failing = server(livenessProbe=http("/500", failureThreshold=1), restartPolicy=container)
    await cluster.pod(containers=[failing, {"name": "other"}], restartPolicy=pod)
    await cluster.run(5)
    again = container != "Never"
    assert cluster.events("Killing")[0] == f"Container c failed liveness probe{', will be restarted' if again else ''}"
    assert bool(cluster.status()["restartCount"]) is again


async def test_grace_period_of_a_probe(cluster):
    probe = {"exec": {"command": ["fail", "1"]}, "periodSeconds": 1, "failureThreshold": 1}
    short = probe | {"terminationGracePeriodSeconds": 3}
    await cluster.pod(containers=[{"name": "c", "command": ["stubborn"], "livenessProbe": short}])
    await cluster.run(6)
    assert cluster.status()["restartCount"] == 1
    assert cluster.status()["lastState"]["terminated"]["exitCode"] == 137


async def test_startup_probe_holds_the_others_back(cluster):
    startup = {"exec": {"command": ["check", "/tmp/up"]}, "periodSeconds": 2, "failureThreshold": 5}
    await cluster.pod(containers=[server(startupProbe=startup, livenessProbe=http("/500"), readinessProbe=http())])
    await cluster.run(5)
    assert cluster.status()["started"] is False
    assert cluster.status()["ready"] is False
    assert not [text for text in cluster.events("Unhealthy") if text.startswith("Liveness")]
    await cluster.exec("touch", "/tmp/up")
    await cluster.run(2)
    assert cluster.status()["started"] is True
    assert cluster.status()["ready"] is True


async def test_a_failed_startup_probe_restarts(cluster):
    startup = {"exec": {"command": ["fail", "1"]}, "periodSeconds": 1, "failureThreshold": 2}
    await cluster.pod(containers=[{"name": "c", "startupProbe": startup}])
    await cluster.run(4)
    assert cluster.events("Unhealthy")[0] == "Startup probe failed: trying\noops\n"
    assert cluster.events("Killing") == ["Container c failed startup probe, will be restarted"]
    assert cluster.status()["restartCount"] == 1


async def test_initial_delay(cluster):
    await cluster.pod(containers=[server(readinessProbe=http(initialDelaySeconds=10))])
    await cluster.run(9)
    assert cluster.status()["ready"] is False
    assert not cluster.events("Unhealthy")
    await cluster.run(3)
    assert cluster.status()["ready"] is True


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (http(httpGet={"path": "/x", "port": 81}), 'Get "http://IP:81/x": dial tcp IP:81: connect: connection refused'),
        (http("/503"), "HTTP probe failed with statuscode: 503"),
        (
            http("/slow"),
            'Get "http://IP:8080/slow": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        ),
        ({"tcpSocket": {"port": 81}}, "dial tcp IP:81: connect: connection refused"),
        ({"exec": {"command": ["pause", "5"]}}, 'command timed out: "pause 5" timed out after 1s'),
        (
            {"grpc": {"port": 81}},
            'timeout: failed to connect service "IP:81" within 1s: context deadline exceeded',
        ),
    ],
)
async def test_words_of_failures(cluster, probe, words):
    await cluster.pod(containers=[server(readinessProbe=probe)])
    await cluster.run(4)
    ip = cluster.get()["status"]["podIP"]
    assert cluster.events("Unhealthy")[0] == f"Readiness probe failed: {words.replace('IP', ip)}"
    assert cluster.status()["ready"] is False


async def test_a_probe_that_cannot_be_done(cluster):
    probe = {"exec": {"command": ["no-such-program"]}, "periodSeconds": 1}
    await cluster.pod(containers=[{"name": "c", "readinessProbe": probe}])
    await cluster.run()
    assert cluster.events("Unhealthy")[0].startswith(
        "Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = "
        "failed to exec in container: "
    )


async def test_tcp_probe(cluster):
    await cluster.pod(containers=[server(readinessProbe={"tcpSocket": {"port": "http"}})])
    await cluster.run()
    assert cluster.status()["ready"] is True


async def test_grpc_probe(cluster):
    good = {"name": "c", "command": ["health", "9000"], "readinessProbe": {"grpc": {"port": 9000}}}
    bad = {"name": "c", "command": ["health", "9000"], "readinessProbe": {"grpc": {"port": 9000, "service": "db"}}}
    await cluster.pod("good", containers=[good])
    await cluster.pod("bad", containers=[bad])
    await cluster.run()
    assert cluster.status("good")["ready"] is True
    assert cluster.status("bad")["ready"] is False
    words = 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
    assert cluster.events("Unhealthy", "bad")[0] == words


async def test_probes_end_with_their_container(cluster):
    probe = {"exec": {"command": ["fail", "1"]}, "periodSeconds": 1}
    await cluster.pod(
        containers=[{"name": "c", "readinessProbe": probe, "livenessProbe": probe | {"failureThreshold": 99}}]
    )
    await cluster.run()
    await cluster.client.delete("pods", "default", "p")
    await cluster.run(1)
    before = len(cluster.events("Unhealthy"))
    await cluster.run(10)
    assert len(cluster.events("Unhealthy")) == before


async def test_https_probe_does_not_look_at_the_certificate(cluster, programs, monkeypatch):
    async def secure(process: Process) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_pem(context, *self_signed("nobody.example"))
        process.listen(8443, tls_handler(context, network_http.server(hello)))
        await process.signals("TERM").get()
        return 0

    async def hello(request: network_http.Request) -> network_http.Response:
        return network_http.reply(200 if request.headers.find("user-agent") == "kube-probe/1.36" else 403)

    monkeypatch.setitem(programs, "/bin/secure", secure)
    probe = {"httpGet": {"port": 8443, "scheme": "HTTPS"}}
    await cluster.pod(containers=[{"name": "c", "command": ["secure"], "readinessProbe": probe}])
    wrong = {"httpGet": {"port": 8080, "scheme": "HTTPS"}}
    await cluster.pod("plain", containers=[server(readinessProbe=wrong)])
    await cluster.run()
    assert cluster.status()["ready"] is True
    assert cluster.events("Unhealthy", "plain")[0].endswith(": http: server gave HTTP response to HTTPS client")


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/loop", 'Readiness probe failed: Get "/loop": stopped after 10 redirects'),
        ("/on", "Readiness probe failed: HTTP probe failed with statuscode: 500"),
        ("/away", "Readiness probe warning: Probe terminated redirects, Response body: "),
        ("/default-port", 'Readiness probe failed: Get "http://IP:80/": dial tcp IP:80: connect: connection refused'),
    ],
)
async def test_redirects_of_a_probe(cluster, path, event):
    await cluster.pod(containers=[server(readinessProbe=http(path))])
    await cluster.run(3)
    told = cluster.events("Unhealthy") or cluster.events("ProbeWarning")
    assert told[0].replace(cluster.get()["status"]["podIP"], "IP") == event


async def asked(cluster, hook):
    """The state of a container whose hook asks another pod, and the events about that."""
    await cluster.pod("asked", containers=[server()])
    await cluster.run(2)
    host = cluster.get("asked")["status"]["podIP"]
    container = {"name": "c", "lifecycle": {"postStart": {"httpGet": hook | {"host": host}}}}
    await cluster.pod(containers=[container], terminationGracePeriodSeconds=1)
    await cluster.run(2.5)
    told = cluster.events("LifecycleHTTPFallback")
    return cluster.status()["state"], [one.replace(host, "IP") for one in told]


async def test_a_hook_wants_an_answer_whatever_it_says(cluster):
    state, told = await asked(cluster, {"path": "/500", "port": 8080})
    assert "running" in state
    assert not told


async def test_a_hook_asks_again_without_tls(cluster):
    state, told = await asked(cluster, {"port": 8080, "scheme": "HTTPS"})
    assert "running" in state
    assert told == ["request to HTTPS lifecycle hook IP:8080 got HTTP response, retry with HTTP succeeded"]


async def test_a_hook_without_an_answer_fails(cluster):
    state, told = await asked(cluster, {"port": 81, "path": "/x"})
    assert state["waiting"]["reason"] == "PostStartHookError"
    assert "HTTP lifecycle hook (/x) for Container" in state["waiting"]["message"]
    assert state["waiting"]["message"].endswith(":81: connect: connection refused")
    assert not told


async def test_a_sidecar_that_fails_its_probe(cluster):
    failing = {"exec": {"command": ["fail", "1"]}, "periodSeconds": 1, "failureThreshold": 1}
    sidecar = {"name": "s", "restartPolicy": "Always", "livenessProbe": failing}
    await cluster.pod(initContainers=[sidecar])
    await cluster.run(5)
    assert cluster.events("Killing")[0] == "Init container s failed liveness probe"
    assert cluster.status(container="s")["restartCount"] > 0
