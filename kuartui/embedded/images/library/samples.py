"""The images of Kubernetes' tutorials: kubernetes-bootcamp, the guestbook, and a front end that asks its back end."""

from __future__ import annotations

import re

from msgspec.structs import replace

from kuartui.embedded.images.library import nginx, redis
from kuartui.embedded.images.library.bases import curl_programs, text, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig, ImageFile, Program
from kuartui.embedded.images.programs.samples import BOOTCAMP_JS, bootcamp, guestbook
from kuartui.embedded.images.reference import Reference, parse

TAGS = {
    "kubernetes-bootcamp": r"v[12]",
    "hello-frontend": r"1\.0",
    "gb-frontend": r"v[3-6]",
    "gb-redis-follower": r"v[12]",
}
FRONTEND = """# hello is the name of the back end's Service
upstream hello {
    server hello;
}

server {
    listen 80;

    location / {
        proxy_pass http://hello;
    }
}
"""
FOLLOWER = (
    'if [ "$GET_HOSTS_FROM" = env ]; then host=$REDIS_LEADER_SERVICE_HOST; else host=redis-leader; fi; '
    "exec redis-server --replicaof $host 6379"
)


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    name = reference.path.rpartition("/")[2]
    if not re.fullmatch(TAGS[name], reference.tag):
        return None
    if name == "hello-frontend":
        files = {"/etc/nginx/conf.d/default.conf": text(FRONTEND)}
        return _made_of(nginx.find(parse("docker.io/library/nginx:1.17")), reference, files)
    if name == "gb-redis-follower":
        return _made_of(redis.find(parse("docker.io/library/redis:6.0")), reference, {}, ("/bin/sh", "-c", FOLLOWER))
    program: Program
    cmd: tuple[str, ...]
    programs, direct, commands, shells = userland("debian")
    files = debian_files()
    if name == "gb-frontend":
        path, program, port, cmd = "/usr/sbin/apache2", guestbook, 80, ("apache2", "-D", "FOREGROUND")
    else:
        version = reference.tag[1:]
        files = {**files, "/server.js": text(BOOTCAMP_JS.replace("VERSION", version))}
        path, program, port, cmd = "/usr/local/bin/node", bootcamp(version), 8080, ("node", "server.js")
    return Image(
        reference.repository, reference.tag, ImageConfig(cmd=cmd, ports=(port,)), files,
        {**programs, **curl_programs(), path: program}, direct, commands, shells,
        size=80 << 20, memory=18 << 20, distribution="debian",
    )  # fmt: skip


def _made_of(base: Image | None, reference: Reference, files: dict[str, ImageFile], cmd: tuple[str, ...] = ()) -> Image:
    assert base is not None, "this module names the tags of its bases itself"
    config = replace(base.config, cmd=cmd) if cmd else base.config
    own = {**base.files, **files}
    return replace(base, repository=reference.repository, tag=reference.tag, config=config, files=own)
