"""kube-scheduler as a program in a pod: whose pods it places, which lease it has to lead for that, its health.

After cmd/kube-scheduler/app: what flags say, or the KubeSchedulerConfiguration that `--config` names.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.network.stream import Handler, Stream
from kuartui.embedded.network.tls import load_pem, refuse_plainly, self_signed, tls_handler

DEFAULT = "default-scheduler"
GROUP, KIND = "kubescheduler.config.k8s.io", "KubeSchedulerConfiguration"
SCHEME = "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme/scheme.go:30"


class SetupError(Exception):
    """The process cannot start with these flags or this file; the text is what kube-scheduler says."""


class Setup(Struct, frozen=True):
    """How one process of kube-scheduler is set up."""

    profiles: tuple[str, ...] = (DEFAULT,)
    """It places pods whose `schedulerName` is one of these."""
    elects: bool = True
    """Whether it waits to be the leader before it works."""
    lease: str = "kube-system/kube-scheduler"
    port: int = 10259
    kubeconfig: str = ""


def setup(argv: Sequence[str], read: Callable[[str], bytes]) -> Setup:
    """The setup that a command line asks for; `read` reads files. Raises SetupError."""
    flags = _flags(argv)
    config = _configuration(flags["config"], read) if "config" in flags else {}
    election = _mapping(config, "leaderElection")
    elects = flags.get("leader-elect", str(election.get("leaderElect", True))).lower() != "false"
    namespace = flags.get("leader-elect-resource-namespace") or election.get("resourceNamespace") or "kube-system"
    name = flags.get("leader-elect-resource-name") or election.get("resourceName") or "kube-scheduler"
    port = flags.get("secure-port", "10259")
    if not port.isdigit():
        raise SetupError(f'invalid argument "{port}" for "--secure-port" flag: strconv.ParseInt: parsing "{port}"')
    kubeconfig = flags.get("kubeconfig") or _mapping(config, "clientConnection").get("kubeconfig") or ""
    return Setup(_profiles(config), elects, f"{namespace}/{name}", int(port), str(kubeconfig))


def health() -> Handler:
    """Serves /healthz, /livez and /readyz over TLS, with a certificate that is made when somebody first asks."""
    made: list[Handler] = []

    async def serve(stream: Stream) -> None:
        if not made:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            load_pem(context, *self_signed("localhost", "localhost"))
            made.append(tls_handler(context, server(_health), plain_http=refuse_plainly))
        await made[0](stream)

    return serve


async def _health(request: Request) -> Response:
    path = request.path.partition("?")[0]
    return reply(200, "ok") if path in ("/healthz", "/livez", "/readyz") else reply(404, "404 page not found\n")


def _flags(argv: Sequence[str]) -> dict[str, str]:
    """`--name=value`, `--name value` and bare `--name`, which is true."""
    found: dict[str, str] = {}
    words = list(argv)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name.startswith("--"):
            follows = not equals and bool(words) and not words[0].startswith("-")
            found[name[2:]] = value if equals else words.pop(0) if follows else "true"
    return found


def _configuration(path: str, read: Callable[[str], bytes]) -> Mapping[str, Any]:
    import yaml  # only who brings a file of his own needs it

    try:
        loaded = yaml.safe_load(read(path))
    except OSError as error:
        raise SetupError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    except yaml.YAMLError as error:
        raise SetupError(f"couldn't get version/kind; json parse error: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, Mapping) or not loaded.get("kind"):
        raise SetupError(f"Object 'Kind' is missing in '{loaded}'")
    version, kind = loaded.get("apiVersion", ""), loaded["kind"]
    if (version, kind) != (f"{GROUP}/v1", KIND):
        raise SetupError(f'no kind "{kind}" is registered for version "{version}" in scheme "{SCHEME}"')
    return loaded


def _profiles(config: Mapping[str, Any]) -> tuple[str, ...]:
    names: list[str] = []
    for index, profile in enumerate(config.get("profiles") or ({},)):
        name = str(profile.get("schedulerName") or DEFAULT) if isinstance(profile, Mapping) else DEFAULT
        if name in names:
            raise SetupError(f'profiles[{index}].schedulerName: Duplicate value: "{name}"')
        names.append(name)
    return tuple(names)


def _mapping(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name) or {}
    if not isinstance(found, Mapping):
        raise SetupError(f"strict decoding error: {name} must be an object")
    return found
