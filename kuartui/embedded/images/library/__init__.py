"""The images that exist: repositories by name, each with the tags it has. Modules load when somebody pulls."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from kuartui.embedded.images.registry import Finder, ImageCatalogue

# repository -> module in this package; each has `find(reference) -> Image | None`
MODULES = {
    "docker.io/library/busybox": "busybox",
    "docker.io/library/alpine": "alpine",
    "docker.io/library/debian": "debian",
    "registry.k8s.io/build-image/debian-base": "debian",
    **{f"docker.io/library/{name}": "debian" for name in ("ubuntu", "centos", "fedora", "rockylinux", "almalinux")},
    "docker.io/library/nginx": "nginx",
    "docker.io/nginxinc/nginx-unprivileged": "nginx",
    "docker.io/library/redis": "redis",
    "gcr.io/kuar-demo/kuard-amd64": "kuard",
    "gcr.io/kuar-demo/kuard-arm64": "kuard",
    "gcr.io/kuar-demo/kuard": "kuard",
    "registry.k8s.io/pause": "pause",
    **{f"registry.k8s.io/{name}": "copies" for name in ("busybox", "nginx-slim", "redis")},
    **{f"registry.k8s.io/e2e-test-images/{name}": "copies" for name in ("busybox", "httpd", "nginx")},
    "docker.io/bprashanth/nginxhttps": "copies",
    **{f"docker.io/library/{name}": "databases" for name in ("postgres", "mysql", "mariadb", "mongo")},
    **{f"docker.io/library/{name}": "tools" for name in ("python", "perl", "hello-world", "bash")},
    "gcr.io/google-samples/xtrabackup": "databases",
    "docker.io/curlimages/curl": "tools",
    "quay.io/curl/curl": "tools",
    "docker.io/alpine/curl": "tools",
    "docker.io/nicolaka/netshoot": "tools",
    "docker.io/infoblox/dnstools": "tools",
    "docker.io/radial/busyboxplus": "tools",
    "docker.io/praqma/network-multitool": "tools",
    "docker.io/wbitt/network-multitool": "tools",
    "registry.k8s.io/e2e-test-images/jessie-dnsutils": "tools",
    "docker.io/polinux/stress": "tools",
    "docker.io/vish/stress": "tools",
    "registry.k8s.io/hpa-example": "tools",
    "registry.k8s.io/ingress-nginx/controller": "ingress",
    "docker.io/envoyproxy/envoy": "ingress",
    "ghcr.io/projectcontour/contour": "ingress",
    "docker.io/library/traefik": "ingress",
    "docker.io/hashicorp/http-echo": "echo",
    **{
        f"{place}/echoserver": "echo"
        for place in ("registry.k8s.io", "k8s.gcr.io", "gcr.io/google-containers", "gcr.io/google_containers")
    },
    **{f"registry.k8s.io/e2e-test-images/{name}": "echo" for name in ("agnhost", "nautilus", "kitten")},
    **{f"docker.io/kuartui/{name}": "demo" for name in ("checkout", "loadgen", "pruner", "seal", "slowstart")},
    **{f"docker.io/kuartui/{name}": "demo" for name in ("operator", "policy-webhook")},
    **{
        f"{place}/{name}": "samples"
        for place in (
            "gcr.io/google-samples",
            "gcr.io/google_samples",
            "us-docker.pkg.dev/google-samples/containers/gke",
        )
        for name in ("kubernetes-bootcamp", "hello-frontend", "gb-frontend", "gb-redis-follower")
    },
    "docker.io/jocatalin/kubernetes-bootcamp": "samples",
    "docker.io/library/ghost": "ghost",
    "quay.io/crio/artifact": "artifacts",
    **{f"docker.io/{name}/parse-server": "apps" for name in ("parseplatform", "kuartui")},
    **{
        f"{place}/{name}-notebook": "apps"
        for place in ("docker.io/jupyter", "quay.io/jupyter")
        for name in ("base", "minimal", "scipy", "datascience")
    },
    **{f"docker.io/kodekloud/{name}": "courses" for name in ("webapp-color", "event-simulator", "simple-webapp-mysql")},
    **{f"docker.io/kodekloud/{name}": "courses" for name in ("ecommerce", "throw-dice", "webapp-delayed-start")},
    **{f"docker.io/luksa/{name}": "courses" for name in ("batch-job", "kiada", "kubia-unhealthy")},
    "docker.io/argoproj/rollouts-demo": "courses",
    "docker.io/nigelpoulton/k8sbook": "courses",
    "docker.io/paulbouwer/hello-kubernetes": "courses",
    **{f"docker.io/bmuschko/nodejs-{name}": "courses" for name in ("hello-world", "read-config")},
    "docker.io/bmuschko/web-app": "courses",
    "registry.k8s.io/liveness": "courses",
    **{f"docker.io/{name}": "courses" for name in ("dgkanatsios/simpleapp", "luksa/kubia", "progrium/stress")},
    **dict.fromkeys(
        ("gcr.io/kubernetes-e2e-test-images/dnsutils", "docker.io/tutum/dnsutils", "docker.io/containous/whoami"),
        "copies",
    ),
    "registry.k8s.io/kubernetes-zookeeper": "zookeeper",
    **{
        f"registry.k8s.io/{name}": "scalers"
        for name in ("cpa/cluster-proportional-autoscaler", "cluster-proportional-autoscaler-amd64")
    },
    "docker.io/library/cassandra": "cassandra",
    "gcr.io/google-samples/cassandra": "cassandra",
    "registry.k8s.io/coredns/coredns": "coredns",
    "docker.io/coredns/coredns": "coredns",
}


def _finder(repository: str) -> Finder | None:
    module = MODULES.get(repository)
    if module is None:
        from kuartui.embedded.images.library import copies, standins

        newer = copies.newer_name(repository)
        if newer:
            find = _finder(newer)
            return copies.mirrored(find, newer) if find is not None else None
        return standins.find if repository in standins.SERVERS else None
    found: Finder = importlib.import_module(f"{__name__}.{module}").find
    return found


def catalogue(first: Callable[[str], Finder | None] | None = None) -> ImageCatalogue:
    """A catalogue of all images that kuartui brings, and of those that `first` knows."""
    return ImageCatalogue(lambda repository: (first(repository) if first else None) or _finder(repository))
