"""Images that are others under a name of their own: what the Kubernetes project publishes for its documentation and tests."""

from __future__ import annotations

import importlib
import re

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.images.model import Image
from kuartui.embedded.images.reference import Reference, parse
from kuartui.embedded.images.registry import Finder

SAME = r"latest|v?\d+(\.\d+){0,2}"


class Copy(Struct, frozen=True):
    """Which image it is, in which tags it comes, and which tag of the original those are ("" for the same).

    `latest` is what the tag of that name has been for years, where nobody pushes to it any more."""

    of: str
    module: str
    tags: str = SAME
    tag: str = ""
    latest: str = "latest"


_BUSYBOX = Copy("docker.io/library/busybox", "busybox", latest="1.24")
_NGINX_SLIM = Copy("docker.io/library/nginx", "nginx", r"0\.\d+", "1.27")
_DNSUTILS = "registry.k8s.io/e2e-test-images/jessie-dnsutils"
COPIES = {
    "registry.k8s.io/busybox": _BUSYBOX,
    "registry.k8s.io/e2e-test-images/busybox": Copy(_BUSYBOX.of, "busybox", r"1\.(29|3\d)(\.\d)?-\d+", "1.36"),
    "registry.k8s.io/nginx-slim": _NGINX_SLIM,
    "registry.k8s.io/e2e-test-images/nginx": Copy(_NGINX_SLIM.of, "nginx", r"1\.1[45](\.\d)?(-alpine)?-\d+", "1.14"),
    "registry.k8s.io/e2e-test-images/httpd": Copy("docker.io/library/httpd", "standins", r"2\.4\.\d+-\d+", "2.4"),
    "registry.k8s.io/redis": Copy("docker.io/library/redis", "redis", r"e2e|v1", "6"),
    "docker.io/bprashanth/nginxhttps": Copy(_NGINX_SLIM.of, "nginx", r"1\.0|latest", "1.27"),
    "gcr.io/kubernetes-e2e-test-images/dnsutils": Copy(_DNSUTILS, "tools", r"1\.\d", "1.3"),
    "docker.io/tutum/dnsutils": Copy(_DNSUTILS, "tools", r"latest", "1.3"),
    "docker.io/containous/whoami": Copy("docker.io/traefik/whoami", "standins"),
}
MIRRORS = {
    **dict.fromkeys(("k8s.gcr.io/", "gcr.io/google-containers/", "gcr.io/google_containers/"), "registry.k8s.io/"),
    "public.ecr.aws/docker/library/": "docker.io/library/",
    "public.ecr.aws/nginx/nginx-": "docker.io/nginxinc/nginx-",
    "public.ecr.aws/nginx/": "docker.io/library/",
    "mirror.gcr.io/": "docker.io/",
    "quay.io/nginx/": "docker.io/nginxinc/",
    "ghcr.io/traefik/": "docker.io/traefik/",
}
"""Former names of a registry, which still has there what it had then, and other registries that have the same."""


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    copy = COPIES[reference.repository]
    if not reference.digest and not re.fullmatch(copy.tags, reference.tag or "latest"):
        return None
    module = importlib.import_module(f"kuartui.embedded.images.library.{copy.module}")
    tag = copy.tag or (copy.latest if reference.tag in ("", "latest") else reference.tag)
    original: Image | None = module.find(parse(f"{copy.of}:{tag}"))
    return None if original is None else replace(original, repository=reference.repository, tag=reference.tag)


def newer_name(repository: str) -> str:
    """What a repository is called where kuartui knows it, "" if it is known by no other name."""
    return next((new + repository.removeprefix(old) for old, new in MIRRORS.items() if repository.startswith(old)), "")


def mirrored(find: Finder, repository: str) -> Finder:
    """Finds under a repository's other name what `find` finds under the one that is known."""
    registry, _, path = repository.partition("/")

    def found(reference: Reference) -> Image | None:
        original = find(replace(reference, registry=registry, path=path))
        return None if original is None else replace(original, repository=reference.repository)

    return found
