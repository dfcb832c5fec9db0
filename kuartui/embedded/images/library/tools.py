"""Images of tools: curl, network tool boxes, python, perl, stress, and hpa-example."""

from __future__ import annotations

import re

from kuartui.embedded.images.applets import names
from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import curl_programs, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import PATH, Image, ImageConfig, Program
from kuartui.embedded.images.programs.entrypoint import entrypoint
from kuartui.embedded.images.programs.python import python
from kuartui.embedded.images.programs.standin import hello_world
from kuartui.embedded.images.programs.stress import hpa_example, memory_hog, pi, stress
from kuartui.embedded.images.reference import Reference

BIND: dict[str, Program] = {
    "/usr/bin/dig": names.dig,
    "/usr/bin/nslookup": names.bind_nslookup,
    "/usr/bin/host": names.host,
    "/usr/bin/getent": names.getent,
}
TAGS = {
    "curl": r"latest|[78]\.\d+\.\d+",
    "python": r"(latest|3|3\.\d{1,2}(\.\d+)?|alpine|slim)(-(slim|alpine|bookworm|trixie)[\d.]*)?(-bookworm)?",
    "netshoot": r"latest|v0\.\d+",
    "dnstools": r"latest|v\d+",
    "busyboxplus": r"curl|latest",
    "network-multitool": r"latest|extra|minimal|alpine-.*",
    "jessie-dnsutils": r"1\.\d",
    "stress": r"latest|1\.\d\.\d",
    "hpa-example": r"latest",
    "perl": r"(latest|5(\.\d+)*)(-slim)?(-\w+)?",
    "hello-world": r"latest|linux|nanoserver",
    "bash": r"latest|[345](\.\d+)*",
}


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    name = reference.path.rpartition("/")[2]
    if not re.fullmatch(TAGS[name], reference.tag or "latest"):
        return None
    if reference.repository == "docker.io/vish/stress":
        config = ImageConfig(entrypoint=("/stress", "-logtostderr"))
        return Image(
            reference.repository, reference.tag, config, {}, {"/stress": memory_hog}, size=3 << 20, memory=1 << 20
        )
    if name in ("stress", "hpa-example", "hello-world"):
        return _plain(reference, name)
    debian = name in ("perl", "jessie-dnsutils") or (name == "python" and "alpine" not in reference.tag)
    kind = "debian" if debian else "alpine"
    programs, direct, commands, shells = userland(kind)
    own: dict[str, Program] = {}
    config = ImageConfig()
    user = ""
    if name == "curl":
        own, user = curl_programs(), "100"
        config = ImageConfig(entrypoint=("/entrypoint.sh",), cmd=("curl",), user=user)
        own |= {"/entrypoint.sh": entrypoint("curl", strangers=True)}
    elif name == "python":
        version = re.match(r"3\.\d+(\.\d+)?", reference.tag)
        env = (("PATH", PATH), ("PYTHON_VERSION", version[0] if version else "3.14.0"))
        own = {f"/usr/local/bin/{alias}": python for alias in ("python", "python3")}
        config = ImageConfig(cmd=("python3",), env=env)
    elif name == "perl":
        own = {"/usr/local/bin/perl": pi}
        config = ImageConfig(cmd=("perl", "-de0"))
    elif name == "bash":
        shells = {**shells, "/usr/local/bin/bash": "bash"}
        config = ImageConfig(entrypoint=("docker-entrypoint.sh",), cmd=("bash",))
        own = {"/usr/local/bin/docker-entrypoint.sh": entrypoint("bash")}
    elif name == "busyboxplus":
        own, config = {**curl_programs(), "/bin/nslookup": names.old_nslookup}, ImageConfig(cmd=("/bin/sh",))
    else:
        own = {**BIND, **curl_programs()}
        if name in ("netshoot", "network-multitool"):
            own["/usr/bin/nslookup"] = names.new_bind_nslookup
        shells = {**shells, "/bin/bash": "bash"}
        config = ImageConfig(cmd={"netshoot": ("zsh",), "dnstools": ("/bin/sh",)}.get(name, ("sleep", "infinity")))
        if name == "netshoot":
            shells["/bin/zsh"] = "bash"
    users = "curl_user:x:100:101:Linux User,,,:/home/curl_user:/bin/sh\n" if name == "curl" else ""
    files = debian_files() if debian else base_files(users, "curl_group:x:101:\n" if users else "")
    return Image(
        reference.repository,
        reference.tag,
        config,
        files,
        {**programs, **own},
        direct,
        commands,
        shells,
        size=10 << 20 if name == "curl" else 60 << 20,
        memory=1 << 20,
        distribution=kind,
    )


def _plain(reference: Reference, name: str) -> Image:
    program, path = {"stress": (stress, "/usr/local/bin/stress"), "hpa-example": (hpa_example, "/usr/sbin/apache2"),
                     "hello-world": (hello_world, "/hello")}[name]  # fmt: skip
    programs, direct, commands, shells = userland("debian") if name != "hello-world" else ({}, {}, frozenset(), {})
    config = ImageConfig(cmd=(path,), ports=(80,) if name == "hpa-example" else ())
    files = debian_files() if name != "hello-world" else {}
    return Image(
        reference.repository, reference.tag, config, files, {**programs, path: program}, direct, commands, shells,
        size=20 << 20, memory=4 << 20, distribution="debian",
    )  # fmt: skip
