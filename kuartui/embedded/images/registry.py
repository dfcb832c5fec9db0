"""The registries of the world, as containerd meets them: which references resolve, and how the others fail.

The texts are containerd's (core/remotes/docker) as the kubelet passes them on, because players search for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from kuartui.embedded.images.model import Image
from kuartui.embedded.images.reference import Reference, parse
from kuartui.embedded.network import not_found_on_node

IMAGES_LABEL = "kuartui.dev/images"  # "true" on ConfigMaps that describe images, see `described`
BYTES_PER_SECOND = 400 << 20
REFUSAL_SECONDS = 0.4  # a registry saying no
DIAL_SECONDS = 30.0  # nobody answers

PUBLIC = frozenset(
    [
        "docker.io",
        "gcr.io",
        "registry.k8s.io",
        "k8s.gcr.io",
        "mirror.gcr.io",
        "quay.io",
        "ghcr.io",
        "mcr.microsoft.com",
        "public.ecr.aws",
        "us-docker.pkg.dev",
    ]
)


class PullError(Exception):
    """What the CRI's PullImage returns; str() is what the kubelet puts into events after `Failed to pull image "x": `.

    It strips the code `Unknown`, which says nothing.
    """

    def __init__(self, code: str, text: str, seconds: float = REFUSAL_SECONDS) -> None:
        super().__init__(text if code == "Unknown" else f"rpc error: code = {code} desc = {text}")
        self.seconds = seconds
        """How long it takes to find out."""


Finder = Callable[[Reference], Image | None]
"""Gives the image for a reference to its repository, or None if it has no such tag."""


class Registry(Struct):
    """A registry that somebody runs. With `accounts` (user to password) it wants to be asked politely."""

    host: str
    accounts: dict[str, str] = field(default_factory=dict)


class Login(Struct, frozen=True):
    """What an imagePullSecret offers for a server."""

    server: str
    username: str
    password: str


class ImageCatalogue:
    """Everything that can be pulled."""

    def __init__(self, library: Callable[[str], Finder | None]) -> None:
        """`library` gives the finder of a repository; it is asked when somebody pulls from it."""
        self._library = library
        self._own: dict[str, dict[str, Image]] = {}
        self._registries: dict[str, Registry] = {host: Registry(host) for host in PUBLIC}
        self._images: dict[str, Image] = {}

    def add(self, image: Image) -> None:
        """Publish an image: a level's own."""
        self._own.setdefault(image.repository, {})[image.tag] = image
        self._images.pop(image.reference, None)
        host = image.repository.partition("/")[0]
        self._registries.setdefault(host, Registry(host))

    def add_registry(self, registry: Registry) -> None:
        """Run a registry."""
        self._registries[registry.host] = registry

    def pull(self, text: str, logins: Iterable[Login] = ()) -> Image:
        """The image for a reference. Raises PullError or reference.InvalidReference."""
        reference = parse(text)
        registry = self._registries.get(reference.registry)
        if registry is None:
            raise _unreachable(reference)
        if registry.accounts:
            _authorise(reference, registry, logins)
        image = self._find(reference)
        if image is None:
            raise self._missing(reference)
        return image

    def accepted(self, text: str, logins: Iterable[Login]) -> frozenset[Login] | None:
        """Which logins a reference's registry takes, None if it asks for none."""
        registry = self._registries.get(parse(text).registry)
        if registry is None or not registry.accounts:
            return None
        return frozenset(login for login in logins if _fits(registry, login))

    @staticmethod
    def seconds(image: Image) -> float:
        """How long pulling takes; a practice session shall not wait for gigabytes."""
        return round(min(0.06 + image.size / BYTES_PER_SECOND, 2.5), 3)

    def _find(self, reference: Reference) -> Image | None:
        own = self._own.get(reference.repository)
        if own is not None:
            if reference.digest:
                return next((image for image in own.values() if image.digest == reference.digest), None)
            if reference.tag in own:
                return own[reference.tag]
        key = str(reference)
        if key not in self._images:
            finder = self._library(reference.repository)
            image = finder(reference) if finder is not None else None
            if image is None:
                return None
            if reference.digest and image.digest != reference.digest:
                image = replace(image, tag=reference.tag, pinned=reference.digest)
            self._images[key] = image
        return self._images[key]

    def _missing(self, reference: Reference) -> PullError:
        known = reference.repository in self._own or self._library(reference.repository) is not None
        if not known:
            # These tell nobody apart who may not see a repository and who asks for one that does not exist.
            match reference.registry:
                case "docker.io":
                    return _unresolved(
                        reference,
                        "pull access denied, repository does not exist or may require authorization: "
                        "server message: insufficient_scope: authorization failed",
                    )
                case "ghcr.io":
                    return _unauthorised(reference, "anonymous", "403 Forbidden")
                case "quay.io":
                    url = _manifest(reference)
                    return _unresolved(reference, f"unexpected status from HEAD request to {url}: 401 UNAUTHORIZED")
        return PullError("NotFound", f"{_failed(reference)}: {reference}: not found")


def _fits(registry: Registry, login: Login) -> bool:
    known = registry.accounts.get(login.username)
    return _server(login.server) == registry.host and known is not None and known == login.password


def _authorise(reference: Reference, registry: Registry, logins: Iterable[Login]) -> None:
    """Try the logins for this server in turn, as the kubelet's keyring does; anonymously if there is none."""
    offered = [login for login in logins if _server(login.server) == registry.host]
    if any(_fits(registry, login) for login in offered):
        return
    raise _unauthorised(reference, "oauth" if offered else "anonymous", "401 Unauthorized")


def _unauthorised(reference: Reference, token: str, status: str) -> PullError:
    host, scope = reference.registry, f"repository%3A{reference.path.replace('/', '%2F')}%3Apull"
    return _unresolved(
        reference,
        f"failed to authorize: failed to fetch {token} token: unexpected status from GET request to "
        f"https://{host}/token?scope={scope}&service={host}: {status}",
    )


def _unreachable(reference: Reference) -> PullError:
    """Where nobody runs a registry: no such name, a node's own port that is closed, an address that does not answer."""
    host, _, port = reference.registry.partition(":")
    port = port or "443"
    seconds, code = REFUSAL_SECONDS, "Unknown"
    if host == "localhost" or host.startswith("127."):
        why = f"dial tcp {'[::1]' if host == 'localhost' else host}:{port}: connect: connection refused"
    elif re.fullmatch(r"[0-9.]+", host):
        why = f"dial tcp {host}:{port}: i/o timeout"
        seconds, code = DIAL_SECONDS, "DeadlineExceeded"
    else:
        why = not_found_on_node(host)
    request = f'failed to do request: Head "{_manifest(reference)}"'
    return PullError(code, f"{_failed(reference)}: {request}: {why}", seconds)


def _manifest(reference: Reference) -> str:
    return f"https://{reference.registry}/v2/{reference.path}/manifests/{reference.digest or reference.tag}"


def _server(text: str) -> str:
    host = text.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in ("index.docker.io", "docker.io") else host


def _failed(reference: Reference) -> str:
    return f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}"'


def _unresolved(reference: Reference, why: str) -> PullError:
    return PullError("Unknown", f"{_failed(reference)}: {why}")


def logins_of(docker_config: Mapping[str, Mapping[str, str]]) -> list[Login]:
    """The logins of a docker config's `auths`."""
    import base64

    found = []
    for server, entry in docker_config.items():
        user, password = entry.get("username", ""), entry.get("password", "")
        if entry.get("auth"):
            user, _, password = base64.b64decode(entry["auth"]).decode(errors="replace").partition(":")
        found.append(Login(server, user, password))
    return found
