"""Images that courses for the Kubernetes exams deploy."""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from kuartui.embedded.images.library.alpine import base_files
from kuartui.embedded.images.library.bases import curl_programs, directory, text, userland
from kuartui.embedded.images.library.debian import debian_files
from kuartui.embedded.images.model import Image, ImageConfig, Program
from kuartui.embedded.images.programs.courses import (
    batch_job,
    database_check,
    database_page,
    delayed_start,
    event_simulator,
    hello_kubernetes,
    kiada,
    liveness_server,
    read_config,
    rollouts_demo,
    throw_dice,
    unhealthy,
    webapp_color,
)
from kuartui.embedded.images.programs.standin import standin
from kuartui.embedded.images.programs.stress import stress
from kuartui.embedded.images.reference import Reference

MEMORY = 20 << 20


class Course(Struct, frozen=True):
    """What an image consists of: its program, where that is, and how it starts."""

    program: Program
    entrypoint: tuple[str, ...]
    paths: tuple[str, ...]
    port: int = 0
    tags: str = r"latest|v?\d+(\.\d+){0,2}"
    kind: str = "debian"  # the userland, "" for none
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    files: tuple[str, ...] = ()
    memory: int = MEMORY


def _page(port: int, body: str, started: str) -> Course:
    program = standin(started, (port,), (), body, MEMORY)
    return Course(program, ("node", "app.js"), ("/usr/local/bin/node", "/usr/local/bin/npm"), port)


_PYTHON = ("/usr/local/bin/python", "/usr/local/bin/python3")
IMAGES = {
    "docker.io/kodekloud/webapp-color": Course(
        webapp_color, ("python", "app.py"), _PYTHON, 8080, kind="alpine", working_dir="/opt", files=("/opt/app.py",)
    ),
    "docker.io/kodekloud/event-simulator": Course(
        event_simulator, ("python", "event-simulator.py"), _PYTHON, kind="alpine", working_dir="/",
        files=("/event-simulator.py", "/log/"),
    ),
    "docker.io/kodekloud/simple-webapp-mysql": Course(
        database_page, ("python", "app.py"), _PYTHON, 8080, kind="alpine", working_dir="/opt", files=("/opt/app.py",)
    ),
    "docker.io/dgkanatsios/simpleapp": _page(8080, "Hello world from HOSTNAME and version 2.0\n", "Server running"),
    "docker.io/bmuschko/nodejs-hello-world": _page(3000, "Hello World", "Magic happens on port 3000"),
    "docker.io/kodekloud/throw-dice": Course(throw_dice, ("python", "/throw-dice.py"), _PYTHON, kind="alpine"),
    "docker.io/kodekloud/webapp-delayed-start": Course(
        delayed_start, ("python", "app.py"), _PYTHON, 8080, kind="alpine", working_dir="/opt", files=("/opt/app.py",)
    ),
    "docker.io/kodekloud/ecommerce": replace(
        _page(8080, "<h1>HOSTNAME</h1>\n", " * Running on http://0.0.0.0:8080/"),
        tags="404|apparels|food|pay|video|wear|watch|latest",
    ),
    "docker.io/nigelpoulton/k8sbook": replace(
        _page(8080, "<h1>K8s rocks!</h1>\n<p>HOSTNAME</p>\n", "App listening on port 8080"), tags=r"\d\.\d|latest|edge|shop"
    ),
    "docker.io/argoproj/rollouts-demo": Course(
        rollouts_demo, ("/rollouts-demo",), ("/rollouts-demo",), 8080, kind="",
        tags="(bad-|slow-)?(red|orange|yellow|green|blue|purple)",
    ),
    "docker.io/paulbouwer/hello-kubernetes": Course(
        hello_kubernetes, ("npm", "start"), ("/usr/local/bin/node", "/usr/local/bin/npm"), 8080, kind="alpine"
    ),
    "docker.io/luksa/kiada": Course(
        kiada, ("node", "app.js"), ("/usr/local/bin/node", "/usr/local/bin/npm"), 8080, tags=r"0\.[123]|latest"
    ),
    "docker.io/luksa/kubia-unhealthy": Course(
        unhealthy, ("node", "app.js"), ("/usr/local/bin/node", "/usr/local/bin/npm"), 8080
    ),
    "docker.io/luksa/batch-job": Course(
        batch_job, (), ("/usr/local/bin/batch-job",), cmd=("/usr/local/bin/batch-job",), memory=1 << 20
    ),
    "docker.io/luksa/kubia": _page(8080, "You've hit HOSTNAME\n", "Kubia server starting..."),
    "docker.io/bmuschko/nodejs-read-config": Course(
        read_config, ("node", "server.js"), ("/usr/local/bin/node",), 8080
    ),
    "docker.io/bmuschko/web-app": Course(database_check, ("node", "server.js"), ("/usr/local/bin/node",), 3000),
    "registry.k8s.io/liveness": Course(liveness_server, (), ("/server",), 8080, kind="", cmd=("/server",)),
    "docker.io/progrium/stress": Course(
        stress, ("/usr/bin/stress", "--verbose"), ("/usr/bin/stress",), cmd=("--version",), memory=2 << 20
    ),
}  # fmt: skip


def find(reference: Reference) -> Image | None:
    """The image for a tag."""
    course = IMAGES[reference.repository]
    if not re.fullmatch(course.tags, reference.tag or "latest"):
        return None
    programs, direct, commands, shells = userland(course.kind) if course.kind else ({}, {}, frozenset(), {})
    files = {"debian": debian_files, "alpine": base_files}[course.kind]() if course.kind else {}
    own = {path: directory() if path.endswith("/") else text("") for path in course.files}
    config = ImageConfig(
        entrypoint=course.entrypoint, cmd=course.cmd, working_dir=course.working_dir,
        ports=(course.port,) if course.port else (),
    )  # fmt: skip
    return Image(
        reference.repository,
        reference.tag,
        config,
        {**files, **{path.rstrip("/"): entry for path, entry in own.items()}},
        {**programs, **(curl_programs() if course.kind else {}), **dict.fromkeys(course.paths, course.program)},
        direct,
        commands,
        shells,
        size=60 << 20,
        memory=course.memory,
        distribution=course.kind or "scratch",
    )
