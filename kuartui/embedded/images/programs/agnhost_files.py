"""agnhost mounttest, test-webserver and logs-generator: what Kubernetes' own tests look at volumes, files and logs with.

After test/images/agnhost/{mounttest,test-webserver,logs-generator}.
"""

from __future__ import annotations

import random

from kuartui.embedded.images.applets.options import parse
from kuartui.embedded.images.programs.files_server import inside, media_type
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

NEW = "mount-tester new file\n"
MODES = ("0644", "0666", "0660", "0777")
LOOP_SECONDS = 180  # for which a file is read again and again
_LETTERS = {"directory": "d", "symlink": "L"}
_STICKY = 0o1000


def _mode(mode: int, kind: str = "file") -> str:
    """A mode as Go's os.FileMode prints it."""
    head = _LETTERS.get(kind, "") + ("t" if mode & _STICKY else "")
    bits = "".join(letter if mode >> (8 - at) & 1 else "-" for at, letter in enumerate("rwxrwxrwx"))
    return (head or "-") + bits


async def mounttest(process: Process) -> int:
    """mounttest --fs_type=P --file_mode=P --file_perm=P --file_owner=P --file_content=P --new_file_0644=P …"""
    looks = ("fs_type=", "file_mode=", "file_perm=", "file_owner=", "file_content=", "file_content_in_loop=")
    news = tuple(f"new_file_{mode}=" for mode in MODES)
    options, _ = await parse(process, "", (*looks, *news, "retry_time=", "break_on_expected_content="))
    wrong = False

    async def tell(what: str, name: str) -> None:
        nonlocal wrong
        path = process.path(options[name])
        try:
            await process.out(_look(process, what, path) + "\n")
        except OSError as error:
            wrong = True
            await process.out(f'error {what} of "{path}": {(error.strerror or str(error)).lower()}\n')

    if "fs_type" in options:
        await tell("mount type", "fs_type")
    for mode in MODES:
        if f"new_file_{mode}" in options:
            path = process.path(options[f"new_file_{mode}"])
            try:
                process.files.write(path, NEW.encode(), process.user)
                process.files.chmod(path, int(mode, 8), process.user)
            except OSError as error:
                wrong = True
                await process.out(f'error writing new file "{path}": {(error.strerror or "").lower()}\n')
    for what, name in (
        ("mode", "file_mode"),
        ("perms", "file_perm"),
        ("owner", "file_owner"),
        ("content", "file_content"),
    ):
        if name in options:
            await tell(what, name)
    if "file_content_in_loop" in options:
        stops = options.get("break_on_expected_content", "true") != "false"
        for _ in range(int(options.get("retry_time", LOOP_SECONDS))):
            await tell("content", "file_content_in_loop")
            if stops and _content(process, process.path(options["file_content_in_loop"])) == NEW:
                break
            await process.clock.sleep(1)
    return int(wrong)


def _content(process: Process, path: str) -> str:
    try:
        return process.files.read(path, process.user).decode(errors="replace")
    except OSError:
        return ""


def _look(process: Process, what: str, path: str) -> str:
    """A line, or two, of what is asked about a file. Raises OSError."""
    files, user = process.files, process.user
    if what == "content":
        return f'content of file "{path}": {files.read(path, user).decode(errors="replace")}'
    found = files.stat(path, user)
    if what == "mount type":
        volume = files.mount_of(path)[0].volume
        kind = "tmpfs" if volume.kind not in ("emptyDir", "persistentVolumeClaim") else "ext2/ext3"
        return f'mount type of "{path}": {kind}'
    if what == "owner":
        return f'owner UID of "{path}": {found.uid}\nowner GID of "{path}": {found.gid}'
    if what == "perms":
        return f'perms of file "{path}": {_mode(found.mode & 0o777)}'
    return f'mode of file "{path}": {_mode(found.mode, found.kind)}'


async def test_webserver(process: Process) -> int:
    """test-webserver [--port=80]: the files of its container."""
    options, _ = await parse(process, "", ("port=",))
    port = int(options.get("port", "80"))

    async def app(request: Request) -> Response:
        path = inside("/", request.path)
        try:
            if process.files.is_dir(path):
                names = process.files.listdir(path, process.user)
                rows = "".join(f'<a href="{name}">{name}</a>\n' for name in sorted(names))
                return reply(200, f"<pre>\n{rows}</pre>\n", "text/html; charset=utf-8")
            return reply(200, process.files.read(path, process.user), media_type(path))
        except OSError:
            return reply(404, "404 page not found\n")

    try:
        process.listen(port, server(app))
    except OSError as error:
        await process.err(f"listen tcp :{port}: bind: {(error.strerror or '').lower()}\n")
        return 1
    await process.signals("TERM", "INT").get()
    return 0


async def logs_generator(process: Process) -> int:
    """logs-generator --log-lines-total=N --run-duration=TIME: lines as an API server might log them."""
    options, _ = await parse(process, "t:d:", ("log-lines-total=", "run-duration="))
    lines = int(options.get("log-lines-total") or options.get("t") or 0)
    seconds = duration(options.get("run-duration") or options.get("d") or "0")
    if lines <= 0 or seconds <= 0:
        what = "Invalid total number of lines" if lines <= 0 else "Invalid duration"
        await process.err(f"F{process.clock.now():%m%d %H:%M:%S.%f}       1 logs_generator.go:60] {what}\n")
        return 255
    choose = random.Random()
    for line in range(lines):
        now = process.clock.now()
        verb, space = choose.choice(("GET", "POST", "PUT")), choose.choice(("default", "kube-system", "ns"))
        pod = "".join(choose.choices("bcdfghjklmnpqrstvwxz2456789", k=choose.randint(3, 4)))
        text = f"{line} {verb} /api/v1/namespaces/{space}/pods/{pod} {choose.randint(200, 599)}"
        await process.err(f"I{now:%m%d %H:%M:%S.%f}       1 logs_generator.go:76] {text}\n")
        await process.clock.sleep(seconds / lines)
    return 0


def duration(text: str) -> float:
    """Seconds of a Go duration with one unit: 20s, 1m, 500ms. Raises ValueError."""
    for unit, size in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * size
    return float(text)
