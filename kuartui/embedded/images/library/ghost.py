"""Ghost, from its official images."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import directory, text, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig, ImageFile
from kuartui.embedded.images.programs.ghost import INSTALL, entrypoint, node
from kuartui.embedded.images.reference import Reference

TAG = re.compile(r"^(latest|alpine|\d+(?:\.\d+){0,2})(-alpine[\d.]*|-bookworm)?$")
VERSIONS = {"latest": "6.5.0", "alpine": "6.5.0", "6": "6.5.0", "5": "5.130.5", "4": "4.48.9", "1": "1.26.2", "0": "0.11.14",
            "0.11": "0.11.14"}  # fmt: skip
PRODUCTION = """{
  "url": "http://localhost:2368",
  "server": {"port": 2368, "host": "::"},
  "mail": {"transport": "Direct"},
  "logging": {"transports": ["file", "stdout"]},
  "process": "systemd",
  "paths": {"contentPath": "/var/lib/ghost/content"}
}
"""


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    found = TAG.match(reference.tag or "latest")
    if found is None:
        return None
    version = VERSIONS.get(found[1], found[1])
    if int(version.partition(".")[0]) > 6:
        return None
    is_alpine = "alpine" in reference.tag
    programs, direct, commands, shells = userland("alpine" if is_alpine else "debian")
    rows = "node:x:1000:1000::/home/node:/bin/sh\n", "node:x:1000:\n"
    home = f"{INSTALL}/versions/{version}"
    files: dict[str, ImageFile] = {
        **(base_files(*rows) if is_alpine else debian_files(*rows)),
        INSTALL: directory(0o1777, 1000, 1000),
        f"{INSTALL}/versions": directory(0o755, 1000, 1000),
        home: directory(0o755, 1000, 1000),
        f"{home}/index.js": text("require('./ghost');\n"),
        f"{INSTALL}/current": ImageFile(target=home),
        f"{INSTALL}/content": directory(0o1777, 1000, 1000),
        f"{INSTALL}/config.production.json": text(PRODUCTION),
    }
    env = (("NODE_ENV", "production"), ("GHOST_INSTALL", INSTALL), ("GHOST_CONTENT", f"{INSTALL}/content"))
    config = ImageConfig(
        entrypoint=("docker-entrypoint.sh",),
        cmd=("node", "current/index.js"),
        env=(*ImageConfig().env, *env, ("GHOST_VERSION", version)),
        working_dir=INSTALL,
        ports=(2368,),
        volumes=(f"{INSTALL}/content",),
    )
    place = "/usr/local/bin"
    own = {f"{place}/docker-entrypoint.sh": entrypoint, f"{place}/node": node(version)}
    return Image(
        reference.repository, reference.tag or "latest", config, files, {**programs, **own}, direct, commands, shells,
        size=180 << 20, memory=20 << 20, distribution="alpine" if is_alpine else "debian",
    )  # fmt: skip
