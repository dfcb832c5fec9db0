"""nginx, from its official images (Debian and Alpine) and the unprivileged one."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import curl_programs, directory, text, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig, ImageFile, Program
from kuartui.embedded.images.programs.nginx import entrypoint, nginx
from kuartui.embedded.images.reference import Reference

LATEST = {"1.14": "1.14.2", "1.16": "1.16.1", "1.18": "1.18.0", "1.19": "1.19.10", "1.20": "1.20.2", "1.21": "1.21.6",
          "1.22": "1.22.1", "1.23": "1.23.4", "1.24": "1.24.0", "1.25": "1.25.5", "1.26": "1.26.3", "1.27": "1.27.5",
          "1.28": "1.28.0", "1.29": "1.29.3", "1.7": "1.7.9", "1.9": "1.9.15", "1.15": "1.15.12", "1.17": "1.17.10",
          "latest": "1.29.3", "stable": "1.28.0", "mainline": "1.29.3", "1": "1.29.3", "alpine": "1.29.3"}  # fmt: skip

CONF = """
user  nginx;
worker_processes  auto;

error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;


events {
    worker_connections  1024;
}


http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;

    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';

    access_log  /var/log/nginx/access.log  main;

    sendfile        on;
    #tcp_nopush     on;

    keepalive_timeout  65;

    #gzip  on;

    include /etc/nginx/conf.d/*.conf;
}
"""
DEFAULT = """server {
    listen       PORT;
    server_name  localhost;

    #access_log  /var/log/nginx/host.access.log  main;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    #error_page  404              /404.html;

    # redirect server error pages to the static page /50x.html
    #
    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
"""
PAGE = """<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href="http://nginx.org/">nginx.org</a>.<br/>
Commercial support is available at
<a href="http://nginx.com/">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
"""
ERROR_PAGE = """<!DOCTYPE html>
<html>
<head>
<title>Error</title>
</head>
<body>
<h1>An error occurred.</h1>
<p>Sorry, the page you are looking for is currently unavailable.<br/>
Please try again later.</p>
<p>If you are the system administrator of this resource then you should check
the error log for details.</p>
<p><em>Faithfully yours, nginx.</em></p>
</body>
</html>
"""
SCRIPTS = (
    "10-listen-on-ipv6-by-default.sh",
    "15-local-resolvers.envsh",
    "20-envsubst-on-templates.sh",
    "30-tune-worker-processes.sh",
)


def files(port: int, *, unprivileged: bool) -> dict[str, ImageFile]:
    """What nginx' packages install."""
    conf = CONF
    owner = 101 if unprivileged else 0
    if unprivileged:
        conf = conf.replace("user  nginx;\n", "").replace("/run/nginx.pid", "/tmp/nginx.pid")
    return {
        "/etc/nginx/nginx.conf": text(conf),
        "/etc/nginx/conf.d": directory(0o755, owner),
        "/etc/nginx/conf.d/default.conf": ImageFile(DEFAULT.replace("PORT", str(port)).encode(), 0o644, owner),
        "/etc/nginx/mime.types": text(
            "types {\n    text/html html htm shtml;\n    text/css css;\n    text/plain txt;\n}\n"
        ),
        "/usr/share/nginx/html": directory(),
        "/usr/share/nginx/html/index.html": text(PAGE),
        "/usr/share/nginx/html/50x.html": text(ERROR_PAGE),
        "/var/cache/nginx": directory(0o755, owner),
        "/run": directory(0o1777 if unprivileged else 0o755),
        "/var/log/nginx": directory(),
        "/var/log/nginx/access.log": ImageFile(target="/dev/stdout"),
        "/var/log/nginx/error.log": ImageFile(target="/dev/stderr"),
        **{f"/docker-entrypoint.d/{name}": text("#!/bin/sh\n", 0o755) for name in SCRIPTS},
    }


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    tag = reference.tag or "latest"
    found = re.match(
        r"^(latest|stable|mainline|alpine|\d+(?:\.\d+){0,2})(-alpine(?:-slim|\d\.\d+)?|-slim|-bookworm|-trixie|-perl)?$",
        tag,
    )
    if found is None:
        return None
    version = LATEST.get(found[1], found[1])
    if not re.fullmatch(r"1\.(7|9|1[0-9]|2[0-9])\.\d{1,2}", version) or int(version.split(".")[2]) > 19:
        return None
    unprivileged = reference.path.endswith("unprivileged")
    is_alpine = "alpine" in tag
    programs, direct, commands, shells = userland("alpine" if is_alpine else "debian")
    own: dict[str, Program] = {"/usr/sbin/nginx": nginx(version), "/docker-entrypoint.sh": entrypoint}
    if not is_alpine or "slim" not in tag:
        own |= curl_programs()
    users = "nginx:x:101:101:nginx:/nonexistent:/bin/false\n"
    base = base_files(users, "nginx:x:101:\n") if is_alpine else debian_files(users, "nginx:x:101:\n")
    config = ImageConfig(
        entrypoint=("/docker-entrypoint.sh",),
        cmd=("nginx", "-g", "daemon off;"),
        env=(*ImageConfig().env, ("NGINX_VERSION", version), ("PKG_RELEASE", "1")),
        user="101" if unprivileged else "",
        ports=(8080 if unprivileged else 80,),
        stop_signal="SIGQUIT",
    )
    return Image(
        reference.repository,
        tag,
        config,
        {**base, **files(8080 if unprivileged else 80, unprivileged=unprivileged)},
        {**programs, **own},
        direct,
        commands,
        shells,
        size=20_000_000 if is_alpine else 72_000_000,
        memory=7 << 20,
        distribution="alpine" if is_alpine else "debian",
    )
