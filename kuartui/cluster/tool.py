"""Runs somebody else's command line (kind, minikube, docker): its output line by line, its failures as one sentence.

What such a tool says when it fails is a screenful. The causes that people really meet are known by a few words in it;
for the rest its last line of substance is quoted.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress

from kuartui.errors import ClusterError, KuartuiError, MissingError, system_words
from kuartui.message import later

Causes = tuple[tuple[re.Pattern[str], str, str], ...]

#: words in a tool's output -> what is the matter, what to do. The first that matches counts.
CAUSES: Causes = (
    (
        re.compile(r"permission denied.*docker(\.sock| daemon)|dial unix .*docker.sock.*permission denied", re.I),
        later("you may not talk to Docker"),
        later("sudo usermod -aG docker $USER, then log in again"),
    ),
    (
        re.compile(
            r"cannot connect to the docker daemon|is the docker daemon running|docker.sock: connect: no such", re.I
        ),
        later("Docker is not running"),
        later("sudo systemctl start docker, or start Docker Desktop"),
    ),
    (
        re.compile(r"unable to connect to podman|podman.*connection refused", re.I),
        later("Podman is not running"),
        later("systemctl --user start podman.socket, or podman machine start"),
    ),
    (
        re.compile(r'exec: "(docker|podman|nerdctl)": executable file not found', re.I),
        later("there is no container engine"),
        later("install Docker (https://docs.docker.com/engine/install/) or Podman"),
    ),
    (
        re.compile(r"rootless provider requires", re.I),
        later("containers without root need cgroup v2 and delegation"),
        later("see https://kind.sigs.k8s.io/docs/user/rootless/"),
    ),
    (
        re.compile(r"content digest sha256:[0-9a-f]+: not found", re.I),
        later("Docker has the image for another platform only in part"),
        later("update Docker: from 28 on it hands out an image for one platform"),
    ),
    (
        re.compile(r"node\(s\) already exist for a cluster", re.I),
        later("a cluster of that name is there already"),
        "kuartui cluster reset --cluster kind",
    ),
    (
        re.compile(r"no space left on device", re.I),
        later("the disk is full"),
        later("docker system df shows what takes the room"),
    ),
    (
        re.compile(r"no matching manifest for|no match for platform in manifest|no image found in image index", re.I),
        later("there is no such image for the platform of this machine"),
        later("play it with --cluster embedded"),
    ),
    (
        re.compile(r"manifest unknown|manifest for .* not found|not found: manifest", re.I),
        later("there is no such image"),
        later("check the tag, or leave --image and --kubernetes-version out"),
    ),
    (
        re.compile(r"toomanyrequests|rate limit", re.I),
        later("the registry limits how often one may pull"),
        later("docker login raises the limit; or try again later"),
    ),
    (
        re.compile(r"no such host|temporary failure in name resolution|i/o timeout|network is unreachable", re.I),
        later("the registry or download site cannot be reached"),
        later("check the network and the proxy"),
    ),
    (
        re.compile(r"too many open files|inotify", re.I),
        later("the limit of open files is too low"),
        later("sudo sysctl fs.inotify.max_user_instances=512"),
    ),
    (
        re.compile(r"port is already allocated|address already in use", re.I),
        later("a port that it needs is taken"),
        "docker ps shows by what",
    ),
)


COMMAND_FAILED = re.compile(r'command ".*" failed with error: exit status \d+\s*$')  # kind, of a command of its own


def need(program: str, hint: str) -> str:
    """The path of a program. MissingError when it is not installed."""
    found = shutil.which(program)
    if not found:
        raise MissingError(later("{program} is not installed", program=program), hint=hint)
    return found


async def run(
    command: list[str],
    *,
    what: str,
    on_line: Callable[[str], None] = lambda _: None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 60.0,
    causes: Causes = (),
) -> str:
    """Standard output of a command that worked. `what` says in an error what was being done; `on_line` hears both
    streams as they come; `causes` are looked for before those that all tools have. A command that is cancelled, or
    takes longer than `timeout` seconds, ends with us."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise ClusterError(
            later("{what} failed: cannot run {command}: {why}", what=what, command=command[0], why=system_words(error))
        ) from error
    assert process.stdin
    assert process.stdout
    assert process.stderr
    said: list[str] = []
    output: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        on_line(line)

    def hear_output(line: str) -> None:
        output.append(line)
        hear(line)

    try:
        async with asyncio.timeout(timeout):
            process.stdin.write(stdin)
            process.stdin.close()
            await asyncio.gather(_read(process.stdout, hear_output), _read(process.stderr, hear))
            code = await process.wait()
    except TimeoutError as error:
        raise ClusterError(later("{what} did not end within {timeout:g} s", what=what, timeout=timeout)) from error
    finally:
        if process.returncode is None or process.returncode < 0:  # then those that it started may go on
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code:
        raise explain(what, said, code, causes)
    return "\n".join(output)


def explain(what: str, said: list[str], code: int, causes: Causes = ()) -> KuartuiError:
    """One sentence for a screenful."""
    text = "\n".join(said)
    for words, cause, hint in (*causes, *CAUSES):
        if words.search(text):
            return ClusterError(later("{what} failed: {cause}", what=what, cause=cause), hint=hint)
    if code < 0:
        interrupted = later("{what} was interrupted by signal {number}", what=what, number=-code)
        return ClusterError(interrupted, hint=later("try again"))
    errors = [line for line in said if re.match(r"\s*(ERROR|X Exiting|❌|error)", line)]
    last = next((line for line in reversed(errors or said) if line.strip()), f"exit code {code}")
    if COMMAND_FAILED.search(last):  # what that command said comes after it
        after = said[len(said) - said[::-1].index(last) :]
        last = next((line for line in reversed(after) if re.search("error", line, re.I)), last)
    return ClusterError(later("{what} failed: {why}", what=what, why=plain(last).removeprefix("ERROR: ")))


def plain(line: str) -> str:
    """A line without colours, marks and pictures."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
    return re.sub(r"[^\x20-\x7e\u00a0-\u024f\u2018-\u201d\u2026\u2264]", "", text).strip()


async def _read(stream: asyncio.StreamReader, hear: Callable[[str], None]) -> None:
    """Lines end with a newline or, where a tool draws a spinner, with a carriage return."""
    rest = ""
    while chunk := await stream.read(65536):
        *lines, rest = re.split(r"[\r\n]+", rest + chunk.decode(errors="replace"))
        for line in lines:
            if line.strip():
                hear(line)
    if rest.strip():
        hear(rest)
