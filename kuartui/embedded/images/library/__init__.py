"""The images that exist: repositories by name, each with the tags it has. Modules load when somebody pulls."""

from __future__ import annotations

import importlib

from kuartui.embedded.images.reference import Reference
from kuartui.embedded.images.registry import Finder, ImageCatalogue

# repository -> module in this package; each has `find(reference) -> Image | None`
MODULES = {
    "docker.io/library/busybox": "busybox",
    "docker.io/library/alpine": "alpine",
    "docker.io/library/debian": "debian",
    "docker.io/library/ubuntu": "debian",
    "docker.io/library/nginx": "nginx",
    "docker.io/nginxinc/nginx-unprivileged": "nginx",
    "docker.io/library/redis": "redis",
    "gcr.io/kuar-demo/kuard-amd64": "kuard",
    "gcr.io/kuar-demo/kuard-arm64": "kuard",
    "gcr.io/kuar-demo/kuard": "kuard",
    "docker.io/kuartui/checkout": "demo",
    "docker.io/kuartui/loadgen": "demo",
    "docker.io/kuartui/pruner": "demo",
    "registry.k8s.io/pause": "pause",
    "docker.io/hashicorp/http-echo": "echo",
    "registry.k8s.io/e2e-test-images/agnhost": "echo",
    **{f"docker.io/kuartui/{name}": "demo" for name in ("checkout", "loadgen", "pruner", "seal", "slowstart")},
    "registry.k8s.io/coredns/coredns": "coredns",
    "docker.io/coredns/coredns": "coredns",
}


def _finder(repository: str) -> Finder | None:
    module = MODULES.get(repository)
    if module is None:
        return None
    found: Finder = importlib.import_module(f"{__name__}.{module}").find
    return found


def catalogue() -> ImageCatalogue:
    """A catalogue of all images that kuartui brings."""
    return ImageCatalogue(_finder)


def tagged(reference: Reference, *tags: str) -> bool:
    """Whether a reference is to one of these tags."""
    return reference.tag in tags
