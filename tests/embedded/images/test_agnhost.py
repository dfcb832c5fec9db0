"""agnhost's guestbook, file and log commands, and its check of a token's issuer."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from kuartui.embedded.auth.tokens import TokenSigner
from kuartui.embedded.images.programs.agnhost_files import duration
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.tls import tls_handler
from kuartui.embedded.node.runtime import Mount, Projected, Volume
from tests.embedded.api.server import KEY
from tests.embedded.certificates import Authority
from tests.embedded.containers import World

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


async def test_a_guestbook_of_three(world: World) -> None:
    primary = await world.start(AGNHOST, args=("guestbook", "--http-port=6379"))
    world.service("agnhost-primary", "10.96.0.61", 6379, [(primary.sandbox.ip, 6379)])
    replica = await world.start(AGNHOST, args=("guestbook", "--replicaof=agnhost-primary", "--http-port=6379"))
    world.service("agnhost-replica", "10.96.0.62", 6379, [(replica.sandbox.ip, 6379)])
    front = await world.start(AGNHOST, args=("guestbook", "--backend-port=6379"))

    async def ask(query: str) -> str:
        _, out, _ = await world.exec(front, "curl", "-s", f"http://{front.sandbox.ip}/guestbook?{query}")
        return out

    assert await ask("cmd=get&key=messages") == '{"data":""}'
    assert await ask("cmd=set&key=messages&value=hello%20you") == '{"message":"Updated"}'
    assert await ask("cmd=get&key=messages") == '{"data":"hello you"}'
    late = await world.start(AGNHOST, args=("guestbook", "--replicaof=agnhost-primary", "--http-port=6379"))
    _, out, _ = await world.exec(front, "curl", "-s", f"http://{late.sandbox.ip}:6379/get")
    assert out == '{"messages":"hello you"}'


async def test_mounttest_tells_of_files(world: World) -> None:
    script = "mkdir /d; echo -n hi > /d/f; chmod 640 /d/f; exec /agnhost mounttest"
    looks = "--file_mode=/d/f --file_perm=/d/f --file_owner=/d/f --file_content=/d/f --new_file_0666=/d/new"
    exit_, log = await world.run(AGNHOST, "sh", "-c", f"{script} {looks}")
    assert log.splitlines() == [
        'mode of file "/d/f": -rw-r-----',
        'perms of file "/d/f": -rw-r-----',
        'owner UID of "/d/f": 0',
        'owner GID of "/d/f": 0',
        'content of file "/d/f": hi',
    ]
    assert exit_.code == 0
    exit_, log = await world.run(AGNHOST, "/agnhost", "mounttest", "--file_content=/none")
    assert (exit_.code, "no such file or directory" in log) == (1, True)


async def test_the_update_demo_says_which_it_is(world: World) -> None:
    demo = await world.start("registry.k8s.io/e2e-test-images/nautilus:1.7")
    client = await world.start(AGNHOST)
    _, out, _ = await world.exec(client, "curl", "-s", f"http://{demo.sandbox.ip}/data.json")
    assert orjson.loads(out) == {"image": "nautilus.jpg"}


async def test_a_log_as_an_api_server_writes_it(world: World) -> None:
    exit_, log = await world.run(AGNHOST, "/agnhost", "logs-generator", "--log-lines-total=5", "--run-duration=10s")
    line = r"I\d{4} [\d:.]+ +1 logs_generator.go:76\] (\d) (GET|POST|PUT) /api/v1/namespaces/[\w-]+/pods/\w+ \d{3}"
    found = [re.fullmatch(line, one) for one in log.splitlines()]
    assert [one[1] for one in found if one] == list("01234")
    assert exit_.code == 0


@pytest.mark.parametrize(("text", "seconds"), [("20s", 20), ("1m", 60), ("500ms", 0.5), ("2h", 7200)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(("audience", "forged", "code"), [("me", False, 0), ("other", False, 1), ("me", True, 1)])
async def test_a_token_is_checked_by_what_its_issuer_tells(
    world: World, audience: str, forged: bool, code: int
) -> None:
    signer, authority = TokenSigner(KEY), Authority()
    account = {"metadata": {"namespace": "default", "name": "me", "uid": "u"}}
    token = signer.sign(account, world.clock.now(), 3600, ["me"])
    if forged:
        head, claims, signature = token.split(".")
        token = ".".join((head, claims, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")))

    async def app(request: Request) -> Response:
        pages: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": "https://kubernetes.default.svc.cluster.local",
                "jwks_uri": "https://172.18.0.2:6443/openid/v1/jwks",
            },
            "/openid/v1/jwks": {"keys": [signer.public()]},
        }
        return reply(200, orjson.dumps(pages[request.path]), "application/json")

    api = (await world.start(AGNHOST)).sandbox
    world.network.listen(api.ip, 443, tls_handler(authority.server("kubernetes.default.svc"), server(app)))
    world.service("kubernetes", "10.96.0.1", 443, [(api.ip, 443)])
    files = {"token": Projected(b"t"), "ca.crt": Projected(authority.pem)}
    mounts = [Mount(ACCOUNT, Volume.projection(files, world.clock.now()))]
    words = f"--token-path=/tmp/t --audience={audience}"
    script = f"echo {token} > /tmp/t; exec /agnhost test-service-account-issuer-discovery {words}"
    exit_, log = await world.run(AGNHOST, "sh", "-c", script, mounts=mounts)
    assert exit_.code == code, log
    assert ("OK: Got valid claims from token!" in log) == (code == 0)
    assert ("OK: Validated signature on JWT" in log) == (not forged)
