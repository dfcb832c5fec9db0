"""nginx, kuard, http-echo, agnhost, httpd, python: servers, their configuration and their complaints."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl

import pytest

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.tls import load_pem, refuse_plainly, self_signed, tls_handler
from kuartui.embedded.node.runtime import Container, Credentials, Mount, Projected, Volume
from tests.embedded.containers import World


def conf(world: World, text: str) -> Mount:
    files = {"default.conf": Projected(text.encode())}
    return Mount("/etc/nginx/conf.d", Volume.projection(files, world.clock.now()))


async def get(world: World, url: str, *options: str) -> str:
    client = await world.start("curlimages/curl:8.14.1", "sleep", "infinity")
    _, out, err = await world.exec(client, "curl", "-sS", *options, url)
    return out + err


async def test_nginx_serves_its_page_and_logs_as_nginx(world: World) -> None:
    container = await world.start("nginx:1.27")
    assert (await get(world, f"http://{container.sandbox.ip}/")).startswith(
        "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!"
    )
    missing = await get(world, f"http://{container.sandbox.ip}/nope")
    assert "<center>nginx/1.27.5</center>" in missing
    lines = world.log(container).splitlines()
    assert (
        lines[0] == "/docker-entrypoint.sh: /docker-entrypoint.d/ is not empty, will attempt to perform configuration"
    )
    assert any(line.endswith('[error] 29#29: *2 open() "/usr/share/nginx/html/nope" failed (2: No such file or directory), '
               f'client: {world.containers[-1].sandbox.ip}, server: localhost, request: "GET /nope HTTP/1.1", host: "{container.sandbox.ip}"')
               for line in lines)  # fmt: skip
    assert '"GET /nope HTTP/1.1" 404 153 "-" "curl/8.14.1" "-"' in lines[-1]


def names(head: str) -> list[str]:
    """The status, and the names of the headers in their order."""
    first, *lines = head.split("\r\n\r\n")[0].splitlines()
    return [first, *(line.partition(":")[0] for line in lines)]


FILE = ["Content-Type", "Content-Length", "Last-Modified", "Connection", "ETag", "Accept-Ranges"]


@pytest.mark.parametrize(
    ("path", "status", "found"),
    [
        ("/", "200 OK", FILE),
        ("/nope", "404 Not Found", ["Content-Type", "Content-Length", "Connection"]),
        ("/sub", "301 Moved Permanently", ["Content-Type", "Content-Length", "Location", "Connection"]),
        ("/ret", "200 OK", ["Content-Type", "Content-Length", "Connection"]),
        ("/empty", "204 No Content", ["Connection"]),
        (
            "/behind",
            "200 OK",
            ["Content-Type", "Content-Length", "Connection", "Accept-Ranges", "Last-Modified", "ETag"],
        ),
    ],
)
async def test_nginx_sends_the_headers_of_nginx(world: World, path: str, status: str, found: list[str]) -> None:
    """As nginx 1.22 sent them, with BusyBox' httpd 1.37 behind it."""
    script = "mkdir /www && echo hi > /www/index.html && httpd -f -p 8080 -h /www"
    back = await world.start("busybox:1.37", "sh", "-c", script)
    text = (
        "server {\n  root /usr/share/nginx/html;\n  location /ret { return 200 'hi'; }\n"
        f"  location /empty {{ return 204; }}\n  location /behind {{ proxy_pass http://{back.sandbox.ip}:8080/; }}\n}}\n"
    )
    front = await world.start("nginx:1.27-alpine", mounts=(conf(world, text),))
    await world.exec(front, "mkdir", "/usr/share/nginx/html/sub")
    head = await get(world, f"http://{front.sandbox.ip}{path}", "-i")
    assert names(head) == [f"HTTP/1.1 {status}", "Server", "Date", *found]
    assert "\nConnection: keep-alive" in head.replace("\r\n", "\n")
    last = await get(world, f"http://{front.sandbox.ip}{path}", "-i", "-H", "Connection: close")
    assert "\nConnection: close" in last.replace("\r\n", "\n")


async def test_nginx_sends_no_page_twice(world: World) -> None:
    front = await world.start("nginx:1.27-alpine")
    head = await get(world, f"http://{front.sandbox.ip}/", "-I")
    tag = next(line.partition(": ")[2] for line in head.splitlines() if line.startswith("ETag"))
    again = await get(world, f"http://{front.sandbox.ip}/", "-i", "-H", f"If-None-Match: {tag}")
    assert names(again) == ["HTTP/1.1 304 Not Modified", "Server", "Date", "Last-Modified", "Connection", "ETag"]


async def test_httpd_sends_the_headers_of_busybox(world: World) -> None:
    script = "mkdir -p /www/sub && echo hi > /www/index.html && echo x > /www/plain && httpd -f -p 80 -h /www"
    container = await world.start("busybox:1.37", "sh", "-c", script)
    head = await get(world, f"http://{container.sandbox.ip}/", "-i")
    facts = ["Accept-Ranges", "Last-Modified", "ETag", "Content-Length"]
    assert names(head) == ["HTTP/1.1 200 OK", "Date", "Connection", "Content-type", *facts]
    assert "Connection: close" in head
    plain = await get(world, f"http://{container.sandbox.ip}/plain", "-i")
    assert names(plain) == ["HTTP/1.1 200 OK", "Date", "Connection", *facts]
    away = await get(world, f"http://{container.sandbox.ip}/sub", "-i")
    assert names(away)[:5] == ["HTTP/1.1 302 Found", "Date", "Connection", "Content-type", "Location"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("server {\n  lissten 80;\n}\n", 'unknown directive "lissten" in /etc/nginx/conf.d/default.conf:2'),
        (
            "server {\n  listen 80\n  server_name web;\n}\n",
            'invalid parameter "server_name" in /etc/nginx/conf.d/default.conf:3',
        ),
        ("server {\n  listen 80\n}\n", 'unexpected "}" in /etc/nginx/conf.d/default.conf:3'),
        ("server {\n  listen 80;\n", 'unexpected end of file, expecting "}" in /etc/nginx/conf.d/default.conf:3'),
        ("listen 80;\n", '"listen" directive is not allowed here in /etc/nginx/conf.d/default.conf:1'),
        (
            "server {\n  root;\n}\n",
            'invalid number of arguments in "root" directive in /etc/nginx/conf.d/default.conf:2',
        ),
        (
            "server {\n  location / { proxy_pass http://api; }\n}\n",
            'host not found in upstream "api" in /etc/nginx/conf.d/default.conf:2',
        ),
        (
            "server {\n  listen 443 ssl;\n  ssl_certificate /x;\n  ssl_certificate_key /y;\n}\n",
            'cannot load certificate "/x": BIO_new_file() failed',
        ),
        (
            "include /etc/nginx/nope.conf;\n",
            'open() "/etc/nginx/nope.conf" failed (2: No such file or directory) in /etc/nginx/conf.d/default.conf:1',
        ),
    ],
)
async def test_nginx_refuses_a_wrong_configuration(world: World, text: str, complaint: str) -> None:
    exit_, log = await world.run("nginx:1.27-alpine", mounts=(conf(world, text),))
    assert exit_.code == 1
    assert log.splitlines()[-1].startswith(f"nginx: [emerg] {complaint}")


async def test_nginx_routes_by_location(world: World) -> None:
    world.service("empty", "10.96.2.1", 80, [])
    back = await world.start("hashicorp/http-echo:1.0", args=("-text=from back",))
    world.service("back", "10.96.2.2", 80, [(back.sandbox.ip, 5678)])
    text = """
    upstream pool { server back:80; }
    server {
      listen 8080;
      location = /exact { return 200 "exact\\n"; }
      location /old { return 301 /new; }
      location ~ \\.php$ { return 403; }
      location ^~ /static/ { root /srv; try_files $uri =404; }
      location /api/ { proxy_pass http://pool/; proxy_set_header X-Real-IP $remote_addr; }
      location /dead/ { proxy_pass http://empty/; }
      location / { add_header X-Pod $hostname; return 200 "host=$host uri=$request_uri\\n"; }
    }"""
    files = Volume()
    files.fs.mkdir("/static")
    files.fs.write_file("/static/a.txt", b"text\n")
    mounts = (conf(world, text), Mount("/srv", files))
    front = await world.start("nginx:1.27-alpine", mounts=mounts)
    base = f"http://{front.sandbox.ip}:8080"
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    assert await get(world, f"{base}/exact") == "exact\n"
    assert await get(world, f"{base}/old/x", *status) == "301"
    assert await get(world, f"{base}/x.php", *status) == "403"
    assert await get(world, f"{base}/static/a.txt") == "text\n"
    assert await get(world, f"{base}/static/b.txt", *status) == "404"
    assert await get(world, f"{base}/api/v1") == "from back\n"
    assert await get(world, f"{base}/dead/", *status) == "502"
    assert await get(world, f"{base}/some?q=1") == f"host={front.sandbox.ip} uri=/some?q=1\n"
    assert "connect() failed (111: Connection refused) while connecting to upstream" in world.log(front)


async def test_nginx_reloads(world: World) -> None:
    container = await world.start("nginx:1.27")
    await world.sh(
        container,
        "echo 'server { listen 80; return 200 new; }' > /etc/nginx/conf.d/default.conf; nginx -t && nginx -s reload",
    )
    await world.clock.settle()
    assert await get(world, f"http://{container.sandbox.ip}/") == "new"


async def test_nginx_has_a_master_and_a_worker(world: World) -> None:
    container = await world.start("nginx:1.27-alpine")

    async def processes() -> dict[str, list[str]]:
        lines = (await world.exec(container, "ps"))[1].splitlines()[1:]
        return {line.split(maxsplit=3)[3]: line.split()[:2] for line in lines}

    before = await processes()
    assert before["nginx: master process nginx -g daemon off;"] == ["1", "root"]
    worker, user = before["nginx: worker process"]
    assert user == "nginx"
    await world.exec(container, "kill", "-HUP", "1")
    reloaded = (await processes())["nginx: worker process"][0]
    assert reloaded != worker
    await world.exec(container, "kill", reloaded)
    assert (await processes())["nginx: worker process"][0] not in (worker, reloaded)
    await world.exec(container, "nginx", "-s", "quit")
    assert container.exit is not None
    assert container.exit.code == 0
    assert not container.processes


async def test_nginx_without_a_place_to_write(world: World) -> None:
    exit_, log = await world.run("nginx:1.27-alpine", read_only_root=True)
    assert exit_.code == 1
    assert log.endswith('nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (30: Read-only file system)\n')
    exit_, log = await world.run("nginx:1.27-alpine", user=Credentials(uid=1000))
    assert log.endswith('nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (13: Permission denied)\n')
    container = await world.start(
        "nginx:1.27", read_only_root=True, mounts=(Mount("/var/cache/nginx", Volume()), Mount("/run", Volume()))
    )
    assert container.exit is None


async def test_two_servers_cannot_share_a_port_in_a_pod(world: World) -> None:
    first = await world.start("nginx:1.27")
    second = await world.start("nginx:1.27", sandbox=first.sandbox)
    await world.clock.advance(5)
    assert second.exit is not None
    assert second.exit.code == 1
    assert "bind() to 0.0.0.0:80 failed (98: Address in use)" in world.log(second)
    assert world.log(second).endswith("nginx: [emerg] still could not bind()\n")


async def kuard(world: World, *flags: str) -> tuple[Container, str]:
    container = await world.start("gcr.io/kuar-demo/kuard-amd64:blue", *(("/kuard", *flags) if flags else ()))
    return container, f"http://{container.sandbox.ip}:8080"


async def test_kuard_probes_can_be_made_to_fail(world: World) -> None:
    _, base = await kuard(world)
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    assert await get(world, f"{base}/ready") == "ok"
    await get(world, f"{base}/ready/api", "-X", "PUT", "-d", '{"failNext": 2}')
    assert [await get(world, f"{base}/ready", *status) for _ in range(3)] == ["500", "500", "200"]
    await get(world, f"{base}/healthy/api", "-X", "PUT", "-d", '{"failNext": -1}')
    assert [await get(world, f"{base}/healthy", *status) for _ in range(3)] == ["500", "500", "500"]


async def test_kuard_shows_its_pod_and_takes_memory(world: World) -> None:
    container, base = await kuard(world)
    for prefix in ("", "/a", "/b", "/c"):
        assert container.sandbox.hostname in await get(world, f"{base}{prefix}/")
    before = container.usage().memory_bytes
    await get(world, f"{base}/mem/api/alloc?size=50000000", "-X", "POST")
    assert container.usage().memory_bytes == before + 50_000_000
    assert json.loads(await get(world, f"{base}/env"))["env"]["HOSTNAME"] == container.sandbox.hostname


async def test_kuard_generates_keys(world: World) -> None:
    container, _ = await kuard(
        world, "--keygen-enable", "--keygen-num-to-gen=3", "--keygen-exit-on-complete", "--keygen-exit-code=7"
    )
    await world.clock.advance(5)
    assert world.log(container).count("Item done: SHA256:") == 3
    assert container.exit is not None
    assert container.exit.code == 7


async def test_kuard_works_off_a_queue(world: World) -> None:
    queue, base = await kuard(world)
    await get(world, f"{base}/memq/server/queues/keygen", "-X", "PUT")
    for number in range(5):
        await get(world, f"{base}/memq/server/queues/keygen/enqueue", "-d", f"work item {number}")
    worker, _ = await kuard(
        world,
        "--keygen-enable",
        "--keygen-exit-on-complete",
        f"--keygen-memq-server={base}/memq/server",
        "--keygen-memq-queue=keygen",
    )
    await world.clock.advance(20)
    assert worker.exit is not None
    assert worker.exit.code == 0
    assert world.log(worker).count("Item done") == 5
    stats = json.loads(await get(world, f"{base}/memq/server/stats"))["queues"][0]
    assert stats == {"name": "keygen", "depth": 0, "enqueued": 5, "dequeued": 5, "drained": 0}
    assert queue.exit is None


async def test_kuard_refuses_unknown_flags(world: World) -> None:
    exit_, log = await world.run("gcr.io/kuar-demo/kuard-amd64:green", "/kuard", "--nope")
    assert exit_.code == 2
    assert log.startswith("unknown flag: --nope")


async def test_http_echo_needs_a_text(world: World) -> None:
    exit_, log = await world.run("hashicorp/http-echo:1.0")
    assert (exit_.code, log) == (127, "Missing -text option!\n")


async def test_agnhost_tells_its_name(world: World) -> None:
    server = await world.start("registry.k8s.io/e2e-test-images/agnhost:2.53", args=("netexec", "--http-port=8080"))
    assert await get(world, f"http://{server.sandbox.ip}:8080/hostname") == server.sandbox.hostname
    client = await world.start("registry.k8s.io/e2e-test-images/agnhost:2.53")
    assert await world.exec(client, "/agnhost", "connect", f"{server.sandbox.ip}:8080") == (0, "", "")
    assert await world.exec(client, "/agnhost", "connect", f"{server.sandbox.ip}:81") == (1, "", "REFUSED\n")


AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"


async def test_agnhost_answers_datagrams_and_dials_others(world: World) -> None:
    server = await world.start(AGNHOST, args=("netexec", "--http-port=8080", "--udp-port=8081"))
    client = await world.start(AGNHOST, args=("netexec",))
    ip = server.sandbox.ip
    assert await world.exec(client, "sh", "-c", f"echo hostName | nc -u -w 1 {ip} 8081") == (
        0,
        server.sandbox.hostname,
        "",
    )
    for protocol, port in (("http", 8080), ("udp", 8081)):
        url = f"http://{client.sandbox.ip}:8080/dial?request=hostname&protocol={protocol}&host={ip}&port={port}&tries=2"
        assert await get(world, url) == '{"responses":["%s","%s"]}' % ((server.sandbox.hostname,) * 2)
    assert (
        await get(world, f"http://{ip}:8080/shell?cmd=echo+hi;exit+3") == '{"output":"hi\\n","error":"exit status 3"}'
    )
    await get(world, f"http://{ip}:8080/exit?code=5")
    await world.clock.advance(1)
    assert server.exit is not None
    assert server.exit.code == 5


async def test_agnhost_porter_serves_what_its_environment_says(world: World) -> None:
    server = await world.start(AGNHOST, args=("porter",), env={"SERVE_PORT_80": "one", "SERVE_UDP_PORT_81": "two"})
    assert await get(world, f"http://{server.sandbox.ip}:80/any") == "one"
    client = await world.start(AGNHOST)
    assert (await world.exec(client, "sh", "-c", f"echo | nc -u -w 1 {server.sandbox.ip} 81"))[1] == "two"


async def test_agnhost_lives_for_ten_seconds(world: World) -> None:
    server = await world.start(AGNHOST, args=("liveness",))
    url = f"http://{server.sandbox.ip}:8080/healthz"
    assert await get(world, url) == "ok"
    await world.clock.advance(11)
    assert (await get(world, url)).startswith("error: 11.")


async def test_curl_asks_with_a_query(world: World) -> None:
    server = await world.start("registry.k8s.io/e2e-test-images/agnhost:2.53", args=("netexec", "--http-port=8080"))
    url = f"http://{server.sandbox.ip}:8080/echo"
    client = await world.start("curlimages/curl:8.14.1", "sleep", "infinity")
    asked = await world.exec(client, "curl", "-s", "-G", "-o", "/tmp/answer", "--data-urlencode", "msg=a=b, !c", url)
    assert asked == (0, "", "")
    assert await world.exec(client, "cat", "/tmp/answer") == (0, "a=b, !c", "")


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        ({"metadata": {"labels": {"webhook-e2e-test": "webhook-disallow"}}}, "the pod contains unwanted label;"),
        ({"spec": {"containers": [{"name": "webhook-disallow"}]}}, "the pod contains unwanted container name;"),
        ({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}}, ""),
    ],
)
async def test_agnhost_webhook_judges_pods(world: World, pod: dict[str, object], why: str) -> None:
    answer = await review(world, "webhook", "/pods", {"object": pod})
    assert (answer["uid"], answer["allowed"]) == ("u", not why)
    assert answer.get("status", {}).get("message", "") == why


async def review(world: World, command: str, path: str, request: dict[str, object]) -> dict[str, object]:
    """What a webhook of agnhost answers."""
    certificate, key = self_signed("guard", "guard.default.svc")
    files = "--tls-cert-file=/tmp/c --tls-private-key-file=/tmp/k --alsologtostderr -v=4"
    serve = f"exec /agnhost {command} {files} --port=8443"
    script = f"echo '{certificate.decode()}' > /tmp/c; echo '{key.decode()}' > /tmp/k; {serve}"
    server = await world.start("registry.k8s.io/e2e-test-images/agnhost:2.53", "sh", "-c", script)
    asked = {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", **request}}
    client = await world.start("registry.k8s.io/e2e-test-images/agnhost:2.53")
    url = f"https://{server.sandbox.ip}:8443{path}"
    code, out, _ = await world.exec(client, "curl", "-sk", "-d", json.dumps(asked), url)
    assert code == 0
    answer: dict[str, object] = json.loads(out)["response"]
    return answer


async def test_agnhost_webhook_changes_config_maps_in_stages(world: World) -> None:
    for data, stage in (({"mutation-start": "yes"}, "1"), ({"mutation-start": "yes", "mutation-stage-1": "yes"}, "2")):
        answer = await review(world, "webhook", "/mutating-configmaps", {"object": {"data": data}})
        patch = json.loads(base64.b64decode(str(answer["patch"])))
        assert patch == [{"op": "add", "path": f"/data/mutation-stage-{stage}", "value": "yes"}]


async def test_agnhost_converts_custom_resources(world: World) -> None:
    old = {"apiVersion": "stable.example.com/v1", "kind": "K", "hostPort": "localhost:8080"}
    asked = {"desiredAPIVersion": "stable.example.com/v2", "objects": [old]}
    answer = await review(world, "crd-conversion-webhook", "/crdconvert", asked)
    new = {"apiVersion": "stable.example.com/v2", "kind": "K", "host": "localhost", "port": "8080"}
    assert (answer["result"], answer["convertedObjects"]) == ({"status": "Success"}, [new])
    back = {"desiredAPIVersion": "stable.example.com/v1", "objects": [new]}
    assert (await review(world, "crd-conversion-webhook", "/crdconvert", back))["convertedObjects"] == [old]


async def test_agnhost_webhook_wants_a_certificate(world: World) -> None:
    exit_, log = await world.run("registry.k8s.io/e2e-test-images/agnhost:2.53", "/agnhost", "webhook", "--port=8443")
    assert exit_.code == 2
    assert log.startswith("panic: ")


async def test_busybox_httpd_in_the_background_of_a_script(world: World) -> None:
    script = "mkdir /www; echo hello > /www/index.html; httpd -p 8000 -h /www; echo serving; sleep infinity"
    container = await world.start("busybox:1.36", "sh", "-c", script)
    assert container.exit is None
    assert await get(world, f"http://{container.sandbox.ip}:8000/") == "hello\n"
    assert world.log(container) == "serving\n"


async def test_busybox_httpd_leads_to_directories_and_knows_two_methods(world: World) -> None:
    script = "mkdir -p /www/hay; echo hello > /www/hay/index.html; exec httpd -f -vv -p 80 -h /www"
    container = await world.start("busybox:1.36", "sh", "-c", script)
    url = f"http://{container.sandbox.ip}/hay"
    assert "HTTP/1.1 302 Found" in await get(world, url, "-i")
    assert "Location: /hay/?a=b" in await get(world, url + "?a=b", "-i")
    assert await get(world, url, "-L") == "hello\n"
    assert "501 Not Implemented" in await get(world, url + "/", "-d", "x")
    lines = [line.partition("]:")[2].split(": ")[1:] for line in world.log(container).splitlines()]
    assert lines[:2] == [["url:/hay"], ["response:302"]]


async def test_wget_shows_headers_of_what_it_fetches(world: World) -> None:
    script = "mkdir -p /www/hay; echo hello > /www/hay/index.html; exec httpd -f -p 80 -h /www"
    server = await world.start("busybox:1.36", "sh", "-c", script)
    client = await world.start("busybox:1.36", "sleep", "infinity")
    _, out, err = await world.exec(client, "wget", "-qSO-", f"http://{server.sandbox.ip}/hay")
    statuses = [line for line in err.splitlines() if "HTTP/" in line or "Location" in line]
    assert (out, statuses) == ("hello\n", ["  HTTP/1.1 302 Found", "  Location: /hay/", "  HTTP/1.1 200 OK"])
    assert err.endswith("\n  \n")
    _, out, err = await world.exec(client, "wget", "-qSO-", f"http://{server.sandbox.ip}/nope")
    said = "  HTTP/1.1 404 Not Found\nwget: server returned error: HTTP/1.1 404 Not Found\n"
    assert (out, err) == ("", said)


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("busybox:1.36", "mkdir /www; echo yes > /www/ready; exec httpd -f -p 80 -h /www"),
        ("nginx:1.27-alpine", "echo yes > /usr/share/nginx/html/ready; exec nginx -g 'daemon off;'"),
        ("python:3.12-alpine", "cd /tmp; echo yes > ready; exec python -m http.server 80"),
    ],
)
async def test_a_file_is_not_found_under_the_name_of_a_directory(world: World, image: str, command: str) -> None:
    server = await world.start(image, "sh", "-c", command)
    assert await get(world, f"http://{server.sandbox.ip}/ready") == "yes\n"
    assert "yes" not in await get(world, f"http://{server.sandbox.ip}/ready/")


async def test_python_serves_files_and_eats_memory(world: World) -> None:
    server = await world.start("python:3.12-alpine", "python", "-m", "http.server", "8000", working_dir="/etc")
    assert "python:3.12" not in await get(world, f"http://{server.sandbox.ip}:8000/hostname")
    hog = await world.start(
        "python:3.12-alpine", "python", "-c", "import time\nx = 'a' * (150 * 1024 * 1024)\ntime.sleep(3600)"
    )
    assert 150 << 20 <= hog.usage().memory_bytes <= 170 << 20
    exit_, log = await world.run("python:3.12-alpine", "python", "-c", "import os\nos.fork()")
    assert (exit_.code, log) == (1, "python: this image runs only simple programs, not os.fork()\n")


@pytest.mark.parametrize(
    ("code", "index", "exit_code", "log"),
    [
        ("import os, sys\nif int(os.environ.get('N')) % 2 == 0:\n  sys.exit(42)\nprint('odd', end='!')", "4", 42, ""),
        (
            "import os, sys\nif int(os.environ.get('N')) % 2 == 0:\n  sys.exit(42)\nprint('odd', end='!')",
            "5",
            0,
            "odd!",
        ),
        ("import os\nn = os.environ['N']\nprint(f'{n} is ' + ('1' if n == '1' else 'no'))", "1", 0, "1 is 1\n"),
        ("import sys\nif not 1 < 2 <= 2 or False:\n  pass\nelse:\n  sys.exit('no luck')", "", 1, "no luck\n"),
        ("import os\nprint(os.environ['X'])", "", 1, "KeyError: 'X'\n"),
        ("raise ValueError('bad')", "", 1, "ValueError: bad\n"),
    ],
)
async def test_python_decides_by_its_environment(world: World, code: str, index: str, exit_code: int, log: str) -> None:
    exit_, said = await world.run("python:3", "python3", "-c", code, env={"N": index})
    assert exit_.code == exit_code
    assert said.endswith(log)
    assert said == log or said.startswith("Traceback (most recent call last):\n")


@pytest.mark.parametrize("args", [("-s",), (), ("curl", "-s"), ("sh", "-c", "curl -s $0")])
async def test_the_curl_image_takes_options_for_curl(world: World, args: tuple[str, ...]) -> None:
    server = await world.start("registry.k8s.io/e2e-test-images/agnhost:2.53", args=("netexec", "--http-port=80"))
    url = f"http://{server.sandbox.ip}/echo?msg=hi"
    exit_, log = await world.run("curlimages/curl:8.14.1", args=(*args, url))
    assert (exit_.code, log.endswith("hi")) == (0, True)


async def test_the_bash_image_takes_options_for_bash_and_no_strangers(world: World) -> None:
    exit_, log = await world.run("bash:5", args=("-c", "echo $((1 + 1))"))
    assert (exit_.code, log) == (0, "2\n")
    exit_, log = await world.run("bash:5", args=("nonsense",))
    assert (exit_.code, log) == (127, "/usr/local/bin/docker-entrypoint.sh: line 11: exec: nonsense: not found\n")


async def test_curl_goes_elsewhere_and_shows_the_certificate_it_met(world: World) -> None:
    world.network.add_pod("10.244.0.200", "default", "door")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pem(context, *self_signed("Nobody", "shop.example"))

    async def page(request: Request) -> Response:
        return reply(200, f"this is {request.host}\n")

    world.network.listen("10.244.0.200", 8443, tls_handler(context, server(page, scheme="https")))
    for detour in ("shop.example:443:10.244.0.200:8443", "::10.244.0.200:8443"):
        seen = await get(world, "https://shop.example/", "-kv", "--connect-to", detour)
        assert seen.startswith("this is shop.example\n")
        assert "*  subject: CN=Nobody\n*  start date: Jan 01 00:00:00 2020 GMT\n" in seen
    seen = await get(world, "https://shop.example/", "-k", "--connect-to", "other.example:443:10.244.0.200:8443")
    assert seen == "curl: (6) Could not resolve host: shop.example\n"


async def test_nginx_refuses_plain_http_where_it_speaks_tls(world: World) -> None:
    text = "server {\n  listen 443 ssl;\n  ssl_certificate /tls/tls.crt;\n  ssl_certificate_key /tls/tls.key;\n}\n"
    certificate, key = self_signed("shop.example")
    files = {"tls.crt": Projected(certificate), "tls.key": Projected(key)}
    tls = Mount("/tls", Volume.projection(files, world.clock.now()))
    container = await world.start("nginx:1.27", mounts=[conf(world, text), tls])
    seen = await get(world, f"http://{container.sandbox.ip}:443/", "-i")
    assert seen.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert "<title>400 The plain HTTP request was sent to HTTPS port</title>" in seen
    assert "<center>nginx/1.27.5</center>" in seen
    assert "404 Not Found" in await get(world, f"https://{container.sandbox.ip}/", "-k")


async def test_servers_in_go_refuse_plain_http_where_they_speak_tls(world: World) -> None:
    world.network.add_pod("10.244.0.200", "default", "door")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pem(context, *self_signed("Nobody"))

    async def page(_: Request) -> Response:
        return reply(200, "hello\n")

    handler = tls_handler(context, server(page, scheme="https"), plain_http=refuse_plainly)
    world.network.listen("10.244.0.200", 443, handler)
    seen = await get(world, "http://10.244.0.200:443/", "-w", "%{http_code}")
    assert seen == "Client sent an HTTP request to an HTTPS server.\n400"
    assert await get(world, "https://10.244.0.200/", "-k") == "hello\n"


async def test_clients_say_what_went_wrong(world: World) -> None:
    assert await get(world, "http://nope/") == "curl: (6) Could not resolve host: nope\n"
    assert (
        await get(world, "http://10.244.0.2:1/")
        == "curl: (7) Failed to connect to 10.244.0.2 port 1 after 0 ms: Could not connect to server\n"
    )
    assert (
        await get(world, "http://203.0.113.1/", "--connect-timeout", "3")
        == "curl: (28) Connection timed out after 3000 milliseconds\n"
    )
    assert (
        await get(world, "http://203.0.113.1/", "-m", "2")
        == "curl: (28) Connection timed out after 2000 milliseconds\n"
    )
    busybox = await world.start("busybox:1.36", "sleep", "infinity")
    assert (await world.exec(busybox, "wget", "-qO-", "http://nope"))[2] == "wget: bad address 'nope'\n"
    assert (await world.exec(busybox, "wget", "-qO-", "http://10.244.0.2:1"))[
        2
    ] == "wget: can't connect to remote host (10.244.0.2): Connection refused\n"
    assert (await world.exec(busybox, "wget", "-T", "2", "-qO-", "http://203.0.113.1"))[
        2
    ] == "wget: download timed out\n"
    assert (await world.exec(busybox, "nc", "-zv", "10.244.0.2", "1"))[
        2
    ] == "nc: 10.244.0.2 (10.244.0.2:1): Connection refused\n"


async def test_wget_waits_for_a_name_longer_than_for_a_connection(world: World) -> None:
    busybox = await world.start("busybox:1.36", "sleep", "infinity")
    policy = {"podSelector": {}, "policyTypes": ["Egress"]}
    world.network.apply(
        "networkpolicies.networking.k8s.io",
        "ADDED",
        {"metadata": {"name": "deny", "namespace": "default"}, "spec": policy},
    )
    for url, said in (("http://web:8080", "bad address 'web:8080'"), ("http://10.244.0.9:8080", "download timed out")):
        assert (await world.exec(busybox, "wget", "-T", "2", "-qO-", url))[2] == f"wget: {said}\n"


async def test_netcat_listens_and_talks(world: World) -> None:
    server = await world.start("busybox:1.36", "nc", "-l", "-p", "9000", "-e", "cat")
    client = await world.start("busybox:1.36", "sleep", "infinity")
    task = asyncio.ensure_future(world.exec(client, "nc", server.sandbox.ip, "9000", stdin=b"ping\n"))
    assert await task == (0, "ping\n", "")
    assert server.exit is not None


async def test_old_and_new_nslookup(world: World) -> None:
    world.service("web", "10.96.0.30", 80, [])
    new = await world.start("busybox:1.36", "sleep", "infinity")
    code, out, _ = await world.exec(new, "nslookup", "web.default.svc.cluster.local")
    assert (code, out) == (
        0,
        "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\nName:\tweb.default.svc.cluster.local\nAddress: 10.96.0.30\n\n\n",
    )
    old = await world.start("busybox:1.28", "sleep", "infinity")
    code, out, _ = await world.exec(old, "nslookup", "web")
    assert code == 0
    assert out.endswith("Name:      web\nAddress 1: 10.96.0.30 web.default.svc.cluster.local\n")
    assert (await world.exec(old, "nslookup", "nope"))[::2] == (1, "nslookup: can't resolve 'nope'\n")


async def test_env_lists_variables_in_the_order_in_which_the_runtime_adds_them(world: World) -> None:
    web = await world.start("nginx:1.27", env={"MINE": "1"})
    names = [line.partition("=")[0] for line in (await world.exec(web, "env"))[1].splitlines()]
    assert names[:3] == ["PATH", "HOSTNAME", "NGINX_VERSION"]
    assert names[-2:] == ["MINE", "HOME"]


async def test_nginx_says_not_allowed_and_tells_of_its_worker_s_end(world: World) -> None:
    container = await world.start("nginx:1.27-alpine")
    said = await get(world, f"http://{container.sandbox.ip}/", "-i", "-d", "x")
    assert said.startswith("HTTP/1.1 405 Not Allowed")
    assert "<title>405 Not Allowed</title>" in said
    task = asyncio.ensure_future(container.stop(5))
    await world.clock.advance(6)
    assert (await task).code == 0
    lines = world.log(container).splitlines()
    assert any(line.endswith("built by gcc 14.2.0 (Alpine 14.2.0)") for line in lines)
    assert [line.partition("[notice] ")[2] for line in lines[-7:]] == [
        "1#1: signal 3 (SIGQUIT) received, shutting down",
        "29#29: gracefully shutting down",
        "29#29: exiting",
        "29#29: exit",
        "1#1: signal 17 (SIGCHLD) received from 29",
        "1#1: worker process 29 exited with code 0",
        "1#1: exit",
    ]


@pytest.mark.parametrize(
    ("status", "reason", "title"),
    [
        (302, "Moved Temporarily", "302 Found"),
        (401, "Unauthorized", "401 Authorization Required"),
        (503, "Service Temporarily Unavailable", "503 Service Temporarily Unavailable"),
        (504, "Gateway Time-out", "504 Gateway Time-out"),
    ],
)
async def test_nginx_has_words_of_its_own(world: World, status: int, reason: str, title: str) -> None:
    target = " /x" if status == 302 else ""
    server = await world.start("nginx:1.27", mounts=[conf(world, f"server {{ listen 80; return {status}{target}; }}")])
    said = await get(world, f"http://{server.sandbox.ip}/", "-i")
    assert said.startswith(f"HTTP/1.1 {status} {reason}\r\n")
    assert f"<title>{title}</title>" in said


@pytest.mark.parametrize(
    ("folder", "reason"),
    [("/nowhere", "No such file or directory"), ("/etc/passwd", "Not a directory"), ("/root", "Permission denied")],
)
async def test_busybox_httpd_says_why_it_cannot_serve_a_folder(world: World, folder: str, reason: str) -> None:
    user = Credentials(uid=1000, gid=1000)
    exit_, log = await world.run("busybox:1.36", "httpd", "-f", "-p", "8080", "-h", folder, user=user)
    assert (exit_.code, log) == (1, f"httpd: can't change directory to '{folder}': {reason}\n")


async def test_python_serves_an_index_at_the_address_of_its_directory(world: World) -> None:
    script = "mkdir -p /www/sub; echo hello > /www/index.html; cd /; exec python -m http.server 80 --directory /www"
    server = await world.start("python:3.12-alpine", "sh", "-c", script)
    assert await get(world, f"http://{server.sandbox.ip}/") == "hello\n"
    assert "<h1>Directory listing for /sub/</h1>" in await get(world, f"http://{server.sandbox.ip}/sub", "-L")
    assert "<p>Message: File not found.</p>" in await get(world, f"http://{server.sandbox.ip}/nope")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://203.0.113.1/", "curl: (28) Connection timed out after 2000 milliseconds\n"),
        ("telnet://203.0.113.1:80", "curl: (28) Connection timed out after 2000 milliseconds\n"),
        ("telnet://10.244.0.2:1", "curl: (7) Failed to connect to 10.244.0.2 port 1 after 0 ms: Could not connect to server\n"),
    ],
)  # fmt: skip
async def test_curl_says_what_it_had_no_time_for(world: World, url: str, said: str) -> None:
    assert await get(world, url, "-m", "2") == said


async def test_curl_speaks_telnet_and_tells_what_it_does(world: World) -> None:
    server = await world.start("nginx:1.27-alpine")
    address = server.sandbox.ip
    assert await get(world, f"telnet://{address}:80", "-m", "2") == "curl: (28) Time-out\n"
    seen = await get(world, f"http://{address}/", "-v")
    began, ended = (
        f"*   Trying {address}:80...\n* Connected to {address}",
        f"* Connection #0 to host {address} left intact\n",
    )
    assert began in seen
    assert ended in seen


async def test_nginx_and_curl_speak_the_versions_of_tls_that_they_are_told_to(world: World) -> None:
    conf = (
        "server {\n  listen 443 ssl;\n  ssl_certificate /tmp/c;\n  ssl_certificate_key /tmp/k;\n"
        '  ssl_protocols TLSv1.3;\n  location / { return 200 "fine\\n"; }\n}\n'
    )
    certificate, key = self_signed("web")
    env = {"CONF": conf, "CERT": certificate.decode(), "KEY": key.decode()}
    script = 'echo "$CERT" > /tmp/c; echo "$KEY" > /tmp/k; echo "$CONF" > /etc/nginx/conf.d/default.conf; exec nginx'
    start = ("sh", "-c", script + " -g 'daemon off;'")
    server = await world.start("nginx:1.27-alpine", *start, env=env)
    url = f"https://{server.sandbox.ip}/"
    refused = "curl: (35) TLS connect error: error:0A00042E:SSL routines::tlsv1 alert protocol version\n"
    assert await get(world, url, "-k", "--tls-max", "1.2") == refused
    assert await get(world, url, "-k", "--tlsv1.3") == "fine\n"
    assert await get(world, url, "-k", "--tls-max", "1.0") == (
        "curl: (35) TLS connect error: error:0A0000BF:SSL routines::no protocols available\n"
    )
    env["CONF"] = conf.replace("TLSv1.3", "TLSv1.2 TLSv1.3")
    both = await world.start("nginx:1.27-alpine", *start, env=env)
    assert await get(world, f"https://{both.sandbox.ip}/", "-k", "--tls-max", "1.2") == "fine\n"
    env["CONF"] = conf.replace("TLSv1.3", "TLSv4")
    exit_, log = await world.run("nginx:1.27-alpine", *start, env=env)
    assert exit_.code == 1
    assert 'invalid value "TLSv4" in /etc/nginx/conf.d/default.conf:5' in log
