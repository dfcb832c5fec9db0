"""Images that only start, listen and stop: many manifests need no more of them. Tags are taken on trust."""

from __future__ import annotations

import re

from msgspec import Struct

from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import curl_programs, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.standin import standin
from kuartui.embedded.images.reference import Reference

TAG = re.compile(r"^(latest|stable|alpine|plain-text|v?\d+(\.\d+){0,3}(-[a-z0-9.-]+)?)$")


class Server(Struct, frozen=True):
    """What is known of a server."""

    started: str
    http: tuple[int, ...] = ()
    tcp: tuple[int, ...] = ()
    body: str = "ok\n"
    memory: int = 20 << 20
    shell: str = "debian"  # "" for images without one
    user: str = ""  # USER, of which runAsNonRoot makes a lot: a name cannot be verified


SERVERS: dict[str, Server] = {
    "docker.io/library/httpd": Server(
        "AH00094: Command line: 'httpd -D FOREGROUND'", (80,), body="<html><body><h1>It works!</h1></body></html>\n"
    ),
    "docker.io/library/memcached": Server("", tcp=(11211,), memory=4 << 20, user="memcache"),
    "docker.io/library/haproxy": Server("[NOTICE]   (1) : New worker (8) forked", (80,), user="haproxy"),
    "docker.io/library/rabbitmq": Server("Server startup complete; 0 plugins started.", tcp=(5672,), memory=120 << 20),
    "docker.io/library/wordpress": Server("AH00094: Command line: 'apache2 -D FOREGROUND'", (80,), memory=60 << 20),
    "docker.io/library/node": Server("Welcome to Node.js", memory=30 << 20),
    "docker.io/library/tomcat": Server("Server startup in [512] milliseconds", (8080,), memory=150 << 20),
    "docker.io/library/nats": Server("[1] [INF] Server is ready", tcp=(4222,), http=(8222,), shell=""),
    "docker.io/library/consul": Server("==> Consul agent running!", (8500,)),
    "docker.io/library/vault": Server("==> Vault server started!", (8200,)),
    "docker.io/library/registry": Server('level=info msg="listening on [::]:5000"', (5000,), shell="alpine"),
    "docker.io/library/elasticsearch": Server("started", (9200,), memory=1 << 30),
    "docker.io/grafana/grafana": Server(
        'logger=http.server msg="HTTP Server Listen" address=[::]:3000', (3000,), shell="alpine", user="472"
    ),
    "docker.io/prom/prometheus": Server(
        'level=INFO msg="Server is ready to receive web requests."', (9090,), shell="alpine", user="nobody"
    ),
    "quay.io/prometheus/prometheus": Server(
        'level=INFO msg="Server is ready to receive web requests."', (9090,), shell="alpine", user="nobody"
    ),
    "docker.io/prom/node-exporter": Server(
        'level=INFO msg="Listening on" address=[::]:9100', (9100,), shell="alpine", user="nobody"
    ),
    "quay.io/prometheus/node-exporter": Server(
        'level=INFO msg="Listening on" address=[::]:9100', (9100,), shell="alpine", user="nobody"
    ),
    "docker.io/fluent/fluentd": Server(
        "[info]: #0 fluentd worker is now running worker=0", (24231,), shell="alpine", memory=60 << 20
    ),
    "docker.io/fluent/fluent-bit": Server("[info] [engine] started (pid=1)", (2020,), shell=""),
    "quay.io/fluentd_elasticsearch/fluentd": Server(
        "[info]: #0 fluentd worker is now running worker=0", memory=60 << 20
    ),
    "registry.k8s.io/fluentd-elasticsearch": Server(
        "[info]: #0 fluentd worker is now running worker=0", memory=60 << 20
    ),
    "docker.io/nginxdemos/hello": Server(
        "start worker process 29", (80,), body="Server name: HOSTNAME\n", shell="alpine"
    ),
    "docker.io/nginxdemos/nginx-hello": Server(
        "start worker process 29", (8080,), body="Server name: HOSTNAME\n", shell="alpine"
    ),
    "docker.io/stefanprodan/podinfo": Server(
        '{"level":"info","msg":"Starting HTTP Server."}',
        (9898,),
        body='{"hostname": "HOSTNAME"}\n',
        shell="alpine",
        user="app",
    ),
    "ghcr.io/stefanprodan/podinfo": Server(
        '{"level":"info","msg":"Starting HTTP Server."}',
        (9898,),
        body='{"hostname": "HOSTNAME"}\n',
        shell="alpine",
        user="app",
    ),
    "docker.io/traefik/whoami": Server("Starting up on port 80", (80,), body="Hostname: HOSTNAME\n", shell=""),
    "gcr.io/google-samples/hello-app": Server(
        "Server listening on port 8080",
        (8080,),
        body="Hello, world!\nVersion: VERSION\nHostname: HOSTNAME\n",
        shell="alpine",  # its successor below has no shell
    ),
    "us-docker.pkg.dev/google-samples/containers/gke/hello-app": Server(
        "Server listening on port 8080", (8080,), body="Hello, world!\nVersion: VERSION\nHostname: HOSTNAME\n", shell=""
    ),
    "gcr.io/google-samples/node-hello": Server("", (8080,), body="Hello Kubernetes!"),
    "gcr.io/google-samples/hello-go-gke": Server("", (80,), body='{"message":"Hello"}\n', memory=4 << 20, shell=""),
    "registry.k8s.io/goproxy": Server("", tcp=(8080,), memory=4 << 20, shell=""),
    "registry.k8s.io/test-webserver": Server("", (80,), body="<pre>\n</pre>\n", memory=4 << 20, shell=""),
    "registry.k8s.io/serve_hostname": Server("", (9376,), body="HOSTNAME\n", memory=4 << 20, shell=""),
    "docker.io/kicbase/echo-server": Server(
        "Echo server listening on port 8080.", (8080,), body="Request served by HOSTNAME\n", shell=""
    ),
    "docker.io/jmalloc/echo-server": Server(
        "Echo server listening on port 8080.", (8080,), body="Request served by HOSTNAME\n", shell=""
    ),
    "docker.io/library/fluentd": Server(
        "[info]: #0 fluentd worker is now running worker=0", (24231,), shell="alpine", memory=60 << 20
    ),
    "docker.io/library/caddy": Server('"serving initial configuration"', (80,), body="Caddy works!\n", shell="alpine"),
    "docker.io/kennethreitz/httpbin": Server("Listening at: http://0.0.0.0:80 (1)", (80,), body='{"url": "/"}\n'),
    "registry.k8s.io/metrics-server/metrics-server": Server(
        '"Serving securely" address="[::]:10250"', tcp=(10250,), shell=""
    ),
    "docker.io/library/zookeeper": Server("binding to port 0.0.0.0/0.0.0.0:2181", tcp=(2181,), memory=80 << 20),
    "registry.k8s.io/fluentd-gcp": Server("[info]: fluentd worker is now running worker=0", memory=60 << 20),
    "registry.k8s.io/node-problem-detector/node-problem-detector": Server(
        "log_monitor.go:111] Start log monitor /config/kernel-monitor.json", (20257,), body="ok", memory=20 << 20
    ),
}

ACCOUNTS = {  # what images add to /etc/passwd and /etc/group
    "memcache": ("memcache:x:11211:11211::/home/memcache:/bin/sh\n", "memcache:x:11211:\n"),
    "haproxy": ("haproxy:x:99:99::/var/lib/haproxy:/bin/false\n", "haproxy:x:99:\n"),
    "472": ("grafana:x:472:0:Linux User,,,:/home/grafana:/sbin/nologin\n", ""),
    "app": ("app:x:100:101:Linux User,,,:/home/app:/sbin/nologin\n", "app:x:101:app\n"),
}


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    server = SERVERS[reference.repository]
    if reference.tag and not TAG.match(reference.tag):
        return None
    name = reference.path.rpartition("/")[2]
    path = f"/usr/local/bin/{name}"
    numbers = re.findall(r"\d+", reference.tag)[:3] or ["1"]
    body = server.body.replace("VERSION", ".".join([*numbers, "0", "0"][:3]))
    program = standin(server.started, server.http, server.tcp, body, server.memory)
    programs, direct, commands, shells = userland(server.shell) if server.shell else ({}, {}, frozenset(), {})
    extra = curl_programs() if server.shell == "alpine" else {}
    users, groups = ACCOUNTS.get(server.user, ("", ""))
    files = {"debian": debian_files, "alpine": base_files}[server.shell](users, groups) if server.shell else {}
    config = ImageConfig(cmd=(path,), ports=(*server.http, *server.tcp), user=server.user)
    return Image(
        reference.repository, reference.tag, config, files, {**programs, **extra, path: program}, direct, commands, shells,
        size=50 << 20, memory=server.memory, distribution=server.shell or "scratch",
    )  # fmt: skip
