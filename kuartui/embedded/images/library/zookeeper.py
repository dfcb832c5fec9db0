"""ZooKeeper, from the image of Kubernetes' tutorial."""

from __future__ import annotations

from kuartui.embedded.images.library.bases import directory, procps_programs, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import PATH, Image, ImageConfig, ImageFile
from kuartui.embedded.images.programs.zookeeper import JAVA, java, ready, start_zookeeper
from kuartui.embedded.images.programs.zookeeper_shell import zk_cli
from kuartui.embedded.images.reference import Reference


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    if reference.tag != "1.0-3.4.10":
        return None
    programs, direct, commands, shells = userland("debian")
    place = "/opt/zookeeper/bin"
    own = {
        f"{place}/start-zookeeper": start_zookeeper,
        f"{place}/zookeeper-ready": ready,
        f"{place}/zkCli.sh": zk_cli,
        JAVA: java,
    }
    files = {
        **debian_files("zookeeper:x:1000:1000::/home/zookeeper:/bin/sh\n", "zookeeper:x:1000:\n"),
        "/opt/zookeeper": directory(0o755, 1000, 1000),
        place: directory(0o755, 1000, 1000),
        "/opt/zookeeper/conf": directory(0o755, 1000, 1000),
        "/var/lib/zookeeper": directory(0o755, 1000, 1000),
        "/usr/etc": directory(),
        "/usr/etc/zookeeper": ImageFile(target="/opt/zookeeper/conf"),
    }
    return Image(
        reference.repository,
        reference.tag,
        ImageConfig(cmd=("bash",), env=(("PATH", f"{PATH}:{place}"),)),
        files,
        {**programs, **procps_programs(), **own},
        direct,
        commands,
        shells,
        size=120 << 20,
        memory=2 << 20,
        distribution="debian",
    )
