"""Debian, as the base of many official images, and distributions that serve to open a shell in."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.accounts import accounts
from kuartui.embedded.images.library.bases import directory, procps_programs, text, userland
from kuartui.embedded.images.model import Image, ImageConfig, ImageFile
from kuartui.embedded.images.reference import Reference

RELEASE = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
"""
UBUNTU = """PRETTY_NAME="Ubuntu {version} LTS"
NAME="Ubuntu"
VERSION_ID="{version}"
VERSION_CODENAME={name}
ID=ubuntu
ID_LIKE=debian
"""
CODE_NAMES = {
    "14.04": "trusty",
    "16.04": "xenial",
    "18.04": "bionic",
    "20.04": "focal",
    "22.04": "jammy",
    "24.04": "noble",
}


RED_HAT = """NAME="{name}"
VERSION="{version}"
ID="{id}"
ID_LIKE="rhel fedora"
VERSION_ID="{version}"
PRETTY_NAME="{name} {version}"
"""
NAMES = {
    "almalinux": ("AlmaLinux", "9.6", r"latest|[89](\.\d+)?(-minimal)?"),
    "centos": ("CentOS Linux", "8", r"latest|[678](\.\d+)*|centos[678]"),
    "fedora": ("Fedora Linux", "43", r"latest|rawhide|[34]\d"),
    "rockylinux": ("Rocky Linux", "9.3", r"latest|[89](\.\d+)?(-minimal)?"),
}


def debian_files(users: str = "", groups: str = "") -> dict[str, ImageFile]:
    """Files of a Debian image."""
    return {
        **accounts("debian", users, groups),
        "/etc/os-release": text(RELEASE),
        "/etc/debian_version": text("12.11\n"),
        "/root": directory(0o700),
        **{f"/{name}": directory() for name in ("boot", "home", "lib", "lib64", "media", "sbin")},
        "/mnt": directory(),
        "/opt": directory(),
        "/srv": directory(),
        "/run": directory(),
        "/var/log": directory(),
        "/var/tmp": directory(0o1777),
        "/tmp": directory(0o1777),
        "/usr/local/bin": directory(),
    }


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    name = reference.path.rpartition("/")[2]
    if name in NAMES:
        return _red_hat(reference, name)
    ubuntu = reference.path.endswith("ubuntu")
    tags = (
        r"latest|rolling|(1[468]|2[0246])\.04|trusty|xenial|bionic|focal|jammy|noble"
        if ubuntu
        else r"latest|(stable|oldstable|testing|sid|jessie|stretch|buster|bullseye|bookworm|trixie|[89]|1[0123])(-slim)?"
    )
    if name == "debian-base":  # what Kubernetes' own images are made of
        tags = r"(buster|bullseye|bookworm)-v\d+\.\d+\.\d+"
    if not re.fullmatch(tags, reference.tag or "latest"):
        return None
    programs, direct, commands, shells = userland("debian")
    files = debian_files()
    if ubuntu:
        versions = {code_name: version for version, code_name in CODE_NAMES.items()}
        version = versions.get(reference.tag, reference.tag if reference.tag in CODE_NAMES else "24.04")
        files["/etc/os-release"] = text(UBUNTU.format(version=version, name=CODE_NAMES[version]))
        programs = {**programs, **procps_programs()}
    config = ImageConfig(cmd=("/bin/bash",) if ubuntu else ("bash",))
    return Image(
        reference.repository, reference.tag, config, files, programs, direct, commands, shells, size=29_700_000 if ubuntu else 48_500_000,
        memory=1 << 20, distribution="debian",
    )  # fmt: skip


def _red_hat(reference: Reference, name: str) -> Image | None:
    """The relatives of Red Hat: as Debian, but for their name and their package manager, which is not there."""
    title, newest, tags = NAMES[name]
    if not re.fullmatch(tags, reference.tag or "latest"):
        return None
    programs, direct, commands, shells = userland("debian")
    programs = {path: program for path, program in programs.items() if not path.endswith(("/apt", "/apt-get"))}
    version = re.search(r"\d[.\d]*", reference.tag)
    files = debian_files()
    del files["/etc/debian_version"]
    files["/etc/os-release"] = text(RED_HAT.format(name=title, id=name, version=version[0] if version else newest))
    config = ImageConfig(cmd=("/bin/bash",))
    return Image(
        reference.repository, reference.tag, config, files, programs, direct, commands, shells, size=70_000_000,
        memory=1 << 20, distribution=name,
    )  # fmt: skip
