"""The other applications of the book's chapter on real ones: Jupyter and parse-server."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.bases import directory, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig
from kuartui.embedded.images.programs.jupyter import notebook
from kuartui.embedded.images.programs.parse_server import parse_server
from kuartui.embedded.images.reference import Reference

NOTEBOOK = re.compile(r"^(latest|lab-\d.*|python-3\.\d+.*|notebook-\d.*|hub-\d.*|20\d\d-\d\d-\d\d|[0-9a-f]{12})$")
PARSE = re.compile(r"^(latest|\d+(\.\d+){0,2})$")


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    tag = reference.tag or "latest"
    programs, direct, commands, shells = userland("debian")
    if reference.path.rpartition("/")[2] == "parse-server":
        if not PARSE.match(tag):
            return None
        files = debian_files("node:x:1000:1000::/home/node:/bin/sh\n", "node:x:1000:\n")
        own = {"/parse-server/bin/parse-server": parse_server, "/usr/local/bin/parse-server": parse_server}
        config = ImageConfig(
            entrypoint=("/parse-server/bin/parse-server",), working_dir="/parse-server", ports=(1337,), user="node"
        )
    else:
        if not NOTEBOOK.match(tag):
            return None
        files = debian_files("jovyan:x:1000:100::/home/jovyan:/bin/bash\n", "jovyan:x:1000:\n")
        files |= {"/home/jovyan": directory(0o755, 1000, 100), "/home/jovyan/work": directory(0o755, 1000, 100)}
        names = ("start-notebook.sh", "start-notebook.py", "jupyter")
        own = {f"/usr/local/bin/{name}": notebook for name in names}
        config = ImageConfig(cmd=("start-notebook.py",), working_dir="/home/jovyan", ports=(8888,), user="1000")
    return Image(
        reference.repository, tag, config, files, {**programs, **own}, direct, commands, shells,
        size=900 << 20, memory=20 << 20, distribution="debian",
    )  # fmt: skip
