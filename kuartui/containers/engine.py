"""The player's Docker engine, through the Docker SDK for Python (extra `docker`).

It is the engine that the player's own `docker` talks to: $DOCKER_HOST, else the current context. Only one on this
machine will do. The SDK blocks, so each question goes through a thread; its errors become ours here.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from kuartui.errors import ClusterError, KuartuiError, MissingError
from kuartui.game.labels import LABEL_CHECKER
from kuartui.message import later

if TYPE_CHECKING:
    from docker import DockerClient

T = TypeVar("T")
Obj = dict[str, Any]
INSTALL_SDK = "pip install 'kuartui[docker]'"
INSTALL_ENGINE = later("https://docs.docker.com/engine/install/; on Debian: sudo apt install docker.io")
ASK_SECONDS = 30.0  # for one question to the engine
RUN_SECONDS = 10.0  # for a command in a throw-away container
RUN_MEMORY = 64 * 1024 * 1024
ONE_PLATFORM = (1, 48)  # the version of the API from which on an image is handed out for one platform
CHUNK = 1024 * 1024  # bytes
MAX_OUTPUT = 4000  # characters
MAX_BODY = 64 * 1024
MAX_FILES_OF = 256 * 1024 * 1024  # bytes of an image of which the files are listed
GONE = (404, 409)  # not there, or going already: what is to be removed is

#: words in an error -> what is the matter, what to do
CAUSES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"no matching manifest for|no match for platform in manifest|no image found in image index", re.I),
        later("there is no such image for the platform of this machine"),
        later("play it with --cluster embedded"),
    ),
    (
        re.compile(r"manifest unknown|repository does not exist|manifest for .* not found", re.I),
        later("the registry has no such image"),
        "docker pull shows its own words",
    ),
    (
        re.compile(r"dial tcp|no such host|TLS handshake|Client\.Timeout", re.I),
        later("the registry cannot be reached"),
        later("check the network and the proxy; without Internet: kuartui bundle load FILE"),
    ),
    (
        re.compile(r"toomanyrequests|rate limit", re.I),
        later("the registry limits how often one may pull"),
        later("docker login raises the limit; or try again later"),
    ),
    (
        re.compile(r"PermissionError|permission denied", re.I),
        later("you may not talk to Docker"),
        later("sudo usermod -aG docker $USER, then log in again"),
    ),
    (
        re.compile(r"FileNotFoundError|ConnectionRefused|Connection refused|CreateFile", re.I),
        later("Docker is not running"),
        later("sudo systemctl start docker, or start Docker Desktop"),
    ),
    (
        re.compile(r"no space left", re.I),
        later("the disk is full"),
        later("docker system df shows what takes the room"),
    ),
    (
        re.compile(r"port is already allocated|address already in use", re.I),
        later("a port that the level needs is taken"),
        "docker ps shows by what",
    ),
    (re.compile(r"timed? ?out", re.I), later("Docker does not answer"), "docker info"),
)


class Docker:
    """Connects when it is first asked. Every failure is a KuartuiError with a hint."""

    def __init__(self, address: str = "") -> None:
        """`address` of the engine; "": the one that the `docker` command talks to."""
        self._address = address
        self._client: DockerClient | None = None
        self._ran: dict[tuple[str, tuple[str, ...]], Obj] = {}
        self._files: dict[str, list[str]] = {}

    @property
    def address(self) -> str:
        """Where the engine is. MissingError when it is not on this machine, or the SDK is not installed."""
        if not self._address:
            self._address = address()
        if not is_local(self._address):
            raise MissingError(
                later("the Docker engine at {address} is on another machine", address=self._address),
                hint=later(
                    "levels on Docker need one on this machine: docker context use default, or unset DOCKER_HOST"
                ),
            )
        return self._address

    async def ask(self, question: Callable[[DockerClient], T]) -> T:
        """Put a question to the SDK, in a thread. Its errors become ours."""
        return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: Callable[[DockerClient], T]) -> T:
        if self._client is None:
            self._client = _connect(self.address)
        with _translated():
            return question(self._client)

    async def version(self) -> str:
        """That of the engine. MissingError when there is none to talk to."""
        return str((await self.ask(lambda client: client.version()))["Version"])

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    # --- looking --------------------------------------------------------------------------------------------------

    async def image(self, name: str) -> Obj | None:
        """What `docker image inspect` shows; None when there is no such image."""
        return await self.ask(lambda client: _or_none(lambda: client.api.inspect_image(name)))

    async def history(self, name: str) -> list[Obj]:
        """What `docker history` shows, newest first."""
        return await self.ask(lambda client: _or_none(lambda: client.api.history(name)) or [])

    async def container(self, name: str) -> Obj | None:
        """What `docker inspect` shows, its image as one types it; None when there is no such container."""
        found: Obj | None = await self.ask(lambda client: _or_none(lambda: client.api.inspect_container(name)))
        if found is not None:
            found["Config"]["Image"] = familiar(str(found["Config"].get("Image", "")))
        return found

    async def updates(self) -> bool:
        """Whether it can change containers that run. Podman's API of Docker's kind lacks that (4.3)."""
        return await self.ask(_updates)

    async def logs(self, name: str, lines: int = 200) -> str:
        """The last lines that a container wrote to either stream."""
        raw = await self.ask(lambda client: _or_none(lambda: client.api.logs(name, tail=lines)))
        return (raw or b"").decode(errors="replace")

    async def run(self, image: Obj, command: tuple[str, ...]) -> Obj:
        """{exit, output} of a command in a throw-away container of an image, which has no network and little memory.
        Asked once for an image's content; exit is -1 where it could not be started or did not end in time."""
        key = (str(image["Id"]), command)
        if key not in self._ran:
            self._ran[key] = await self.ask(lambda client: _run(client, key[0], command))
        return self._ran[key]

    async def files(self, image: Obj) -> list[str]:
        """The paths in all layers of an image, also of what a later layer deletes. ClusterError for a very big one."""
        identity = str(image["Id"])
        if int(image.get("Size", 0)) > MAX_FILES_OF:
            raise ClusterError(later("the image is too big to look into: {size} MiB", size=int(image["Size"]) // 2**20))
        if identity not in self._files:
            self._files[identity] = await self.ask(lambda client: _files(client, identity))
        return self._files[identity]

    # --- making ---------------------------------------------------------------------------------------------------

    async def pull(self, source: str) -> None:
        """Pull an image by its tag or its digest. ClusterError when it does not come; what the engine said is its
        cause."""
        await self.ask(lambda client: _pull(client, source))

    async def build(self, folder: Path, name: str, labels: dict[str, str]) -> None:
        """Build an image from the Dockerfile in a folder, pulling nothing. ClusterError with the builder's words."""
        await self.ask(
            lambda client: client.images.build(
                path=str(folder), tag=name, rm=True, forcerm=True, pull=False, labels=labels
            )
        )

    async def start(
        self,
        name: str,
        image: str,
        *,
        command: tuple[str, ...],
        environment: dict[str, str],
        ports: dict[int, int],
        labels: dict[str, str],
    ) -> None:
        """Run a container in the background. `ports`: its own to that of this machine, on loopback."""
        await self.ask(
            lambda client: client.containers.run(
                image,
                list(command) or None,
                name=name,
                detach=True,
                environment=environment,
                ports={f"{port}/tcp": ("127.0.0.1", on) for port, on in ports.items()},
                labels=labels,
            )
        )


def address() -> str:
    """The address of the engine that the `docker` command talks to. MissingError without the SDK."""
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    try:
        from docker.context import ContextAPI
    except ImportError as error:
        raise MissingError(later("the Docker SDK for Python is not installed"), hint=INSTALL_SDK) from error
    with _translated():
        return str(ContextAPI.get_current_context().Host)


def familiar(image: str) -> str:
    """An image's name as one types it. Podman tells whole names where Docker leaves out what goes without saying."""
    for host in ("docker.io/library/", "docker.io/", "localhost/"):  # the last: what `podman build` made
        if image.startswith(host):
            return image.removeprefix(host)
    return image


def is_local(where: str) -> bool:
    """Whether an engine's address is on this machine."""
    parts = urlsplit(where)
    return parts.scheme in ("unix", "http+unix", "npipe") or parts.hostname in ("127.0.0.1", "localhost", "::1")


async def ready(docker: Docker) -> None:
    """MissingError, with what provides it, when a level on Docker cannot be played here."""
    if shutil.which("docker") is None:
        raise MissingError(
            later("the docker command is not installed"),
            hint=later("install Docker: {install_engine}", install_engine=INSTALL_ENGINE),
        )
    await docker.version()


async def fetch(where: Obj, port: int, path: str, timeout: float = 2.0) -> Obj:
    """{status, body} of a request to a port that a container (as inspected) publishes; status 0 without an answer."""
    bound = ((where.get("NetworkSettings") or {}).get("Ports") or {}).get(f"{port}/tcp") or []
    if not bound:
        return {"status": 0, "body": ""}
    return await asyncio.to_thread(_fetch, int(bound[0]["HostPort"]), path, timeout)


def _fetch(port: int, path: str, timeout: float) -> Obj:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return {"status": answer.status, "body": answer.read(MAX_BODY).decode(errors="replace")}
    except (OSError, http.client.HTTPException):
        return {"status": 0, "body": ""}
    finally:
        connection.close()


def _connect(where: str) -> DockerClient:
    try:
        import docker
    except ImportError as error:
        raise MissingError(later("the Docker SDK for Python is not installed"), hint=INSTALL_SDK) from error
    try:
        if os.environ.get("DOCKER_HOST") == where:
            return docker.from_env(timeout=int(ASK_SECONDS))  # with the certificates that go with it
        return docker.DockerClient(base_url=where, timeout=int(ASK_SECONDS))
    except docker.errors.DockerException as error:
        cause = explain(str(error))
        raise MissingError(
            later("no Docker engine at {where}: {message}", where=where, message=cause.message), hint=cause.hint
        ) from error


def explain(text: str) -> ClusterError:
    """One sentence for what the SDK says."""
    for words, cause, hint in CAUSES:
        if words.search(text):
            return ClusterError(cause, hint=hint)
    last = (text.strip().splitlines() or ["no reason given"])[-1]
    return ClusterError(later("Docker says: {last}", last=last[:300]))


class _translated:  # noqa: N801  a context manager
    """The SDK's errors, and those of the HTTP library below it, as ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, KuartuiError) or not isinstance(error, Exception):
            return
        from docker.errors import APIError, BuildError, DockerException
        from requests.exceptions import RequestException

        if isinstance(error, BuildError):
            raise ClusterError(later("an image of the level could not be built: {why}", why=error.msg)) from error
        if isinstance(error, APIError):
            raise explain(str(error.explanation or error)) from error
        if isinstance(error, (DockerException, RequestException, OSError)):
            raise explain(str(error)) from error


def _pull(client: DockerClient, source: str) -> None:
    """What fails once layers come, the engine tells within the answer, and the SDK does not look there."""
    from docker.errors import DockerException

    for line in client.api.pull(source, stream=True, decode=True):
        if line.get("error"):
            raise DockerException(str(line["error"]))


def _or_none(question: Callable[[], T]) -> T | None:
    from docker.errors import NotFound

    try:
        return question()
    except NotFound:
        return None


def _updates(client: DockerClient) -> bool:
    """Docker knows the call, and names the container that is not there; who does not know it says no more than that."""
    from docker.errors import NotFound

    nobody = "kuartui-no-such-container"
    try:
        client.api.update_container(nobody)
    except NotFound as error:
        return nobody in str(error.explanation)
    return True


def _run(client: DockerClient, image: str, command: tuple[str, ...]) -> Obj:
    from docker.errors import APIError
    from requests.exceptions import RequestException

    container = client.containers.create(
        image,
        list(command[1:]),
        entrypoint=[command[0]],
        network_disabled=True,
        mem_limit=RUN_MEMORY,
        pids_limit=64,
        labels={LABEL_CHECKER: "true"},
    )
    try:
        container.start()
        code = int(container.wait(timeout=RUN_SECONDS)["StatusCode"])
        return {"exit": code, "output": container.logs().decode(errors="replace")[:MAX_OUTPUT]}
    except APIError as error:  # no such program in it, say
        return {"exit": -1, "output": str(error.explanation or error)[:MAX_OUTPUT]}
    except RequestException:
        return {"exit": -1, "output": f"did not end within {RUN_SECONDS:g} s"}
    finally:
        try:
            container.remove(force=True, v=True)
        except APIError as error:
            if error.status_code not in GONE:
                raise


def saved(client: DockerClient, image: str, platform: str) -> Iterator[bytes]:
    """What `docker save --platform` writes of an image, `platform` being linux/amd64, say. An engine whose API is older
    than that option is asked for the whole image: it holds one platform of each anyway."""
    api = client.api
    if tuple(int(part) for part in api.api_version.split(".")) < ONE_PLATFORM:
        yield from api.get_image(image)
        return
    system, _, architecture = platform.partition("/")
    one = json.dumps({"os": system, "architecture": architecture.partition("/")[0]})
    place = f"{api.base_url}/v{api.api_version}/images/{image}/get"
    with api.get(place, params={"platform": one}, stream=True, timeout=ASK_SECONDS) as response:
        if not response.ok:
            raise explain(response.text)
        yield from response.iter_content(CHUNK)


def _files(client: DockerClient, image: str) -> list[str]:
    """An engine hands an image out as a tar of tars; manifest.json names the layers in order."""
    with tempfile.TemporaryFile(prefix="kuartui-image-") as file:
        for chunk in client.api.get_image(image):
            file.write(chunk)
        file.seek(0)
        found: set[str] = set()
        with tarfile.open(fileobj=file, mode="r:") as archive:
            manifest = archive.extractfile("manifest.json")
            assert manifest is not None
            for layer in json.load(manifest)[0]["Layers"]:
                inside = archive.extractfile(layer)
                assert inside is not None
                with tarfile.open(fileobj=inside, mode="r:*") as content:
                    found.update(_paths(content))
        return sorted(found)


def _paths(content: tarfile.TarFile) -> Iterator[str]:
    """Absolute paths; marks of deleted files (.wh.) left out."""
    for member in content:
        name = member.name.removeprefix("./").strip("/")
        if name and ".wh." not in name:
            yield f"/{name}"
