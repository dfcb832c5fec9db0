"""postgres, mysql, mariadb, mongo: official images, as far as start-up, access and data directories."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import directory, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig, Program
from kuartui.embedded.images.programs import mongo, mysql, mysql_client, postgres, xtrabackup
from kuartui.embedded.images.programs.mongo_shell import mongosh
from kuartui.embedded.images.reference import Reference

LATEST: Mapping[str, Mapping[str, str]] = {
    "postgres": {
        "latest": "18.0",
        "18": "18.0",
        "17": "17.6",
        "16": "16.10",
        "15": "15.14",
        "14": "14.19",
        "13": "13.22",
    },
    "mysql": {
        "latest": "9.4.0",
        "9": "9.4.0",
        "8": "8.4.6",
        "8.4": "8.4.6",
        "8.0": "8.0.43",
        "5.7": "5.7.44",
        "lts": "8.4.6",
        "5.6": "5.6.51",
    },
    "mariadb": {"latest": "12.0.2", "11": "11.8.3", "10": "10.11.14", "lts": "11.8.3"},
    "mongo": {
        "latest": "8.0.15",
        "8": "8.0.15",
        "8.0": "8.0.15",
        "7": "7.0.25",
        "7.0": "7.0.25",
        "6": "6.0.26",
        "5": "5.0.31",
        "4": "4.4.29",
        "3": "3.6.23",
        "3.4": "3.4.24",
    },
}
DATA = {
    "postgres": "/var/lib/postgresql/data",
    "mysql": "/var/lib/mysql",
    "mariadb": "/var/lib/mysql",
    "mongo": "/data/db",
}
PORTS = {"postgres": 5432, "mysql": 3306, "mariadb": 3306, "mongo": 27017}
MAIN = {"postgres": "postgres", "mysql": "mysqld", "mariadb": "mariadbd", "mongo": "mongod"}


def _programs(name: str, version: str) -> dict[str, Program]:
    place = "/usr/local/bin/"
    if name == "postgres":
        server = postgres.postgres(version)
        return {
            place + "docker-entrypoint.sh": server,
            place + "postgres": server,
            place + "psql": postgres.psql,
            place + "pg_isready": postgres.pg_isready,
        }
    if name == "mongo":
        server = mongo.mongo(version)
        major = int(version.partition(".")[0])
        shells = [name for name, there in (("mongosh", major >= 5), ("mongo", major <= 5)) if there]
        shell = {f"/usr/bin/{name}": mongosh for name in shells}
        return {place + "docker-entrypoint.sh": server, "/usr/bin/mongod": server, **shell}
    server = mysql.mysql(version, maria=name == "mariadb")
    return {
        place + "docker-entrypoint.sh": server,
        f"/usr/sbin/{MAIN[name]}": server,
        "/usr/bin/mysql": mysql_client.mysql_client,
        "/usr/bin/mariadb": mysql_client.mysql_client,
        "/usr/bin/mysqladmin": mysql.mysqladmin,
    }


def _xtrabackup(reference: Reference) -> Image | None:
    """The sidecar of the tutorial on a replicated MySQL."""
    if reference.tag != "1.0":
        return None
    programs, direct, commands, shells = userland("debian")
    own = {
        "/usr/bin/ncat": xtrabackup.ncat,
        "/usr/bin/xbstream": xtrabackup.xbstream,
        "/usr/bin/xtrabackup": xtrabackup.xtrabackup,
        "/usr/bin/mysql": mysql_client.mysql_client,
    }
    return Image(
        reference.repository, reference.tag, ImageConfig(cmd=("bash",)), debian_files(), {**programs, **own}, direct,
        commands, shells, size=100 << 20, memory=2 << 20, distribution="debian",
    )  # fmt: skip


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    name = reference.path.rpartition("/")[2]
    if name == "xtrabackup":
        return _xtrabackup(reference)
    found = re.match(
        r"^(latest|lts|\d+(?:\.\d+){0,2})(-(alpine|bookworm|trixie|debian|oracle|jammy|noble)[\d.]*)?$", reference.tag
    )
    if found is None:
        return None
    version = LATEST[name].get(found[1], found[1])
    if version.count(".") < 1 or int(version.partition(".")[0]) > int(LATEST[name]["latest"].partition(".")[0]):
        return None
    is_alpine = found[3] == "alpine"
    programs, direct, commands, shells = userland("alpine" if is_alpine else "debian")
    account = {"postgres": "postgres", "mongo": "mongodb"}.get(name, "mysql")
    rows = f"{account}:x:999:999::{DATA[name]}:/bin/bash\n", f"{account}:x:999:\n"
    base = base_files(*rows) if is_alpine else debian_files(*rows)
    config = ImageConfig(
        entrypoint=("docker-entrypoint.sh",), cmd=(MAIN[name],), ports=(PORTS[name],), volumes=(DATA[name],)
    )
    return Image(
        reference.repository,
        reference.tag,
        config,
        {
            **base,
            DATA[name]: directory(0o1777 if name == "postgres" else 0o755, 999, 999),
            "/docker-entrypoint-initdb.d": directory(),
        },
        {**programs, **_programs(name, version)},
        direct,
        commands,
        shells,
        size=150 << 20,
        memory=20 << 20,
        distribution="alpine" if is_alpine else "debian",
    )
