"""Images that are others under a name of their own: what the Kubernetes project publishes for its documentation and tests."""

from __future__ import annotations

import importlib
import re

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.images.model import Image
from kuartui.embedded.images.reference import Reference, parse

SAME = r"latest|v?\d+(\.\d+){0,2}"


class Copy(Struct, frozen=True):
    """Which image it is, in which tags it comes, and which tag of the original those are ("" for the same)."""

    of: str
    module: str
    tags: str = SAME
    tag: str = ""


_BUSYBOX = Copy("docker.io/library/busybox", "busybox")
_NGINX_SLIM = Copy("docker.io/library/nginx", "nginx", r"0\.\d+", "1.27")
_AGNHOST = "registry.k8s.io/e2e-test-images/agnhost"
COPIES = {
    "registry.k8s.io/busybox": _BUSYBOX,
    "k8s.gcr.io/busybox": _BUSYBOX,
    "gcr.io/google-containers/busybox": _BUSYBOX,
    "gcr.io/google_containers/busybox": _BUSYBOX,
    "registry.k8s.io/e2e-test-images/busybox": Copy(_BUSYBOX.of, "busybox", r"1\.(29|3\d)(\.\d)?-\d+", "1.36"),
    "registry.k8s.io/nginx-slim": _NGINX_SLIM,
    "k8s.gcr.io/nginx-slim": _NGINX_SLIM,
    "registry.k8s.io/e2e-test-images/nginx": Copy(_NGINX_SLIM.of, "nginx", r"1\.1[45](\.\d)?(-alpine)?-\d+", "1.14"),
    "registry.k8s.io/e2e-test-images/httpd": Copy("docker.io/library/httpd", "standins", r"2\.4\.\d+-\d+", "2.4"),
    "registry.k8s.io/redis": Copy("docker.io/library/redis", "redis", r"e2e|v1", "6"),
    "k8s.gcr.io/pause": Copy("registry.k8s.io/pause", "pause"),
    "k8s.gcr.io/e2e-test-images/agnhost": Copy(_AGNHOST, "echo"),
}


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    copy = COPIES[reference.repository]
    if not re.fullmatch(copy.tags, reference.tag or "latest"):
        return None
    module = importlib.import_module(f"kuartui.embedded.images.library.{copy.module}")
    original: Image | None = module.find(parse(f"{copy.of}:{copy.tag or reference.tag or 'latest'}"))
    return None if original is None else replace(original, repository=reference.repository, tag=reference.tag)
