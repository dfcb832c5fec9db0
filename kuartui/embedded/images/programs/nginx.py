"""nginx, and the entrypoint script of its image."""

from __future__ import annotations

import asyncio
import posixpath
import re
import ssl

from msgspec.structs import replace

from kuartui.embedded.images.programs.nginx_conf import Block, ConfigError, Directive, matches_glob, parse
from kuartui.embedded.images.programs.nginx_serve import Site
from kuartui.embedded.network import Listener, NameNotResolved
from kuartui.embedded.network.http import server
from kuartui.embedded.network.ingress import nginx_plain
from kuartui.embedded.network.tls import load_pem, tls_handler
from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.programs import NotExecutable
from kuartui.embedded.node.runtime.rootfs import KERNEL_VERSION
from kuartui.embedded.node.runtime.users import user_ids

TEMPORARY = ("client_temp", "proxy_temp", "fastcgi_temp", "uwsgi_temp", "scgi_temp")
MEMORY = 7 << 20
FIRST_WORKER = 29  # the entrypoint's scripts had the numbers before
BIND_TRIES = 5
PROTOCOLS = {
    **dict.fromkeys(("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"), ssl.TLSVersion.TLSv1_2),
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
"""What `ssl_protocols` takes; OpenSSL has nothing older than 1.2 any more."""


class _Files:
    """Configuration files as the process sees them."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def read(self, path: str) -> bytes:
        return self._process.files.read(path, self._process.user)

    def glob(self, pattern: str) -> list[str]:
        directory = posixpath.dirname(pattern)
        try:
            names = self._process.files.listdir(directory)
        except OSError:
            return []
        paths = [posixpath.join(directory, name) for name in names if not name.startswith(".")]
        return [path for path in paths if matches_glob(path, pattern)]


class Nginx:
    """A master process."""

    def __init__(self, process: Process, version: str) -> None:
        self.process = process
        self.version = version
        self.config = "/etc/nginx/nginx.conf"
        self.globals = ""
        self.owner = "nginx"  # whom the workers run as
        self.listeners: dict[int, Listener] = {}
        self.worker: Process | None = None

    async def log(self, level: str, text: str, pid: int = 1) -> None:
        """A line of the error log."""
        now = self.process.clock.now()
        await self.process.err(f"{now:%Y/%m/%d %H:%M:%S} [{level}] {pid}#{pid}: {text}\n")

    async def emerg(self, text: str) -> None:
        """What stops nginx goes to the log and to standard error."""
        await self.log("emerg", text)
        await self.process.err(f"nginx: [emerg] {text}\n")

    async def load(self) -> Site:
        """Read and check the configuration. Raises ConfigError."""
        source = _Files(self.process)
        top = Block(parse(self.config, source))
        http = Block([found for d in top.all("http") for found in d.block or []])
        user = top.last("user")
        self.owner = user.args[0] if user else "nginx"
        if user is not None and self.process.user.uid != 0:
            text = f'the "user" directive makes sense only if the master process runs with super-user privileges, ignored in {user.place}'
            await self.log("warn", text)
            await self.process.err(f"nginx: [warn] {text}\n")
        if top.last("events") is None:
            raise ConfigError('no "events" section in configuration')
        await self._check_upstreams(http)
        site = Site(self.process, http, self.version, self._worker_log)
        for block in site.tls.values():
            self._certificate(block, http)
        return site

    def _worker_log(self, level: str, text: str) -> object:
        return self.log(level, text, FIRST_WORKER)

    async def _check_upstreams(self, http: Block) -> None:
        """Names in proxy_pass and upstream blocks are resolved once, at start."""
        named = {d.args[0] for d in http.all("upstream")}
        for directive in http.all("upstream"):
            for peer in Block(directive.block or []).all("server"):
                await self._must_resolve(peer.args[0].partition(":")[0], peer)
        for directive in _nested(http.directives, "proxy_pass"):
            target = directive.args[0]
            found = re.match(r"https?://([^/:$]+)", target)
            if "$" in target:
                continue
            if not found:
                raise ConfigError(f"invalid URL prefix in {directive.place}")
            if found[1] not in named:
                await self._must_resolve(found[1], directive)

    async def _must_resolve(self, name: str, directive: Directive) -> None:
        try:
            await self.process.resolve(name)
        except NameNotResolved:
            raise ConfigError(f'host not found in upstream "{name}" in {directive.place}') from None

    def _certificate(self, block: Block, http: Block) -> ssl.SSLContext:
        certificate, key = block.last("ssl_certificate"), block.last("ssl_certificate_key")
        if certificate is None or key is None:
            raise ConfigError('no "ssl_certificate" is defined for the "listen ... ssl" directive')
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        protocols = block.last("ssl_protocols") or http.last("ssl_protocols")
        if protocols is not None:
            versions = [_version(word, protocols) for word in protocols.args]
            context.minimum_version, context.maximum_version = min(versions), max(versions)
        texts = []
        for directive in (certificate, key):
            path = directive.args[0]
            try:
                texts.append(self.process.files.read(path, self.process.user))
            except OSError as error:
                what = "certificate" if directive is certificate else "certificate key"
                raise ConfigError(
                    f'cannot load {what} "{path}": BIO_new_file() failed (SSL: error:{0x80000000 + (error.errno or 2):08X}:'
                    f"system library::{error.strerror}:calling fopen({path}, r) error:10000080:BIO routines::no such file)"
                ) from None
        try:
            load_pem(context, *texts)
        except ssl.SSLError as error:
            raise ConfigError(f'cannot load certificate key "{key.args[0]}": {error.reason}') from None
        return context

    async def start(self) -> Site | None:
        """Load, prepare directories, listen; None after a failure."""
        try:
            site = await self.load()
            self._make_directories()
            await self._listen(site)
        except ConfigError as error:
            await self.emerg(str(error))
            return None
        return site

    def _make_directories(self) -> None:
        """The directories for bodies, given to the workers' user: a master that may not give them away does not start."""
        user = self.process.user
        ids = user_ids(self.process.container.spec.image, self.owner)
        for name in TEMPORARY:
            path = f"/var/cache/nginx/{name}"
            try:
                self.process.files.mkdir(path, user)
            except FileExistsError:
                pass
            except OSError as error:
                raise ConfigError(f'mkdir() "{path}" failed ({error.errno}: {error.strerror})') from None
            if user.uid or ids is None or self.process.files.stat(path).uid == ids[0]:
                continue
            try:
                self.process.files.chown(path, ids[0], 0, user)
            except OSError as error:
                raise ConfigError(f'chown("{path}", {ids[0]}) failed ({error.errno}: {error.strerror})') from None
        try:
            self.process.files.write("/run/nginx.pid", b"1\n", self.process.user)
        except OSError as error:
            raise ConfigError(f'open() "/run/nginx.pid" failed ({error.errno}: {error.strerror})') from None

    async def _listen(self, site: Site) -> None:
        for port in list(self.listeners):
            if port not in site.by_port:
                self.listeners.pop(port).close(connections=False)
        for port in site.by_port:
            app = site.app(port)
            if port in site.tls:
                name = f"nginx/{self.version}"
                handler = server(app, scheme="https", name=name)
                handler = tls_handler(
                    self._certificate(site.tls[port], site.http), handler, plain_http=nginx_plain(name)
                )
            else:
                handler = server(app, name=f"nginx/{self.version}")
            if port in self.listeners:
                self.listeners[port].handler = handler
                continue
            self.listeners[port] = await self._bind(port, handler)

    async def _bind(self, port: int, handler: object) -> Listener:
        for attempt in range(BIND_TRIES):
            try:
                return self.process.listen(port, handler)  # type: ignore[arg-type]
            except OSError as error:
                await self.emerg(f"bind() to 0.0.0.0:{port} failed ({error.errno}: {error.strerror})")
                if attempt < BIND_TRIES - 1:
                    await self.process.clock.sleep(0.5)
        raise ConfigError("still could not bind()")

    async def run(self) -> int:
        """Serve until told to stop."""
        queue = self.process.signals("TERM", "QUIT", "INT", "HUP", "USR1")
        if await self.start() is None:
            return 1
        self.process.memory = MEMORY // 2
        self.process.title = f"nginx: master process {' '.join(self.process.argv)}"
        is_alpine = self.process.container.spec.image.distribution == "alpine"
        for line in (
            'using the "epoll" event method',
            f"nginx/{self.version}",
            "built by gcc 14.2.0 (Alpine 14.2.0)" if is_alpine else "built by gcc 12.2.0 (Debian 12.2.0-14)",
            f"OS: Linux {KERNEL_VERSION}",
            "getrlimit(RLIMIT_NOFILE): 1048576:1048576",
            "start worker processes",
            f"start worker process {FIRST_WORKER}",
        ):
            await self.log("notice", line)
        self._start_worker()
        while True:
            name = await queue.get()
            number = {"TERM": 15, "QUIT": 3, "INT": 2, "HUP": 1, "USR1": 10}[name]
            if name == "HUP":
                await self.log("notice", "signal 1 (SIGHUP) received from 0, reconfiguring")
                await self.log("notice", "reconfiguring")
                if await self.start() is not None:
                    self._start_worker()
                continue
            if name == "USR1":
                continue
            doing = "shutting down" if name == "QUIT" else "exiting"
            await self.log("notice", f"signal {number} (SIG{name}) received, {doing}")
            for line in ("gracefully shutting down", "exiting", "exit")[name != "QUIT" :]:
                await self.log("notice", line, FIRST_WORKER)
            await self.log("notice", f"signal 17 (SIGCHLD) received from {FIRST_WORKER}")
            await self.log("notice", f"worker process {FIRST_WORKER} exited with code 0")
            await self.log("notice", "exit")
            return 0

    def _start_worker(self) -> None:
        """A worker in place of the one before. One that dies is replaced; it is the master that does all the work."""
        if self.worker is not None:
            self.worker.kill()
        user = self.process.user
        ids = user_ids(self.process.container.spec.image, self.owner)
        if user.uid == 0 and ids is not None:
            user = replace(user, uid=ids[0], gid=ids[1], groups=(ids[1],), name=self.owner)
        self.worker = self.process.container.fork(self._work, self.process, user, FIRST_WORKER)

    async def _work(self, process: Process) -> int:
        process.title, process.memory = "nginx: worker process", MEMORY - MEMORY // 2
        quit_ = process.signals("QUIT")
        try:
            await quit_.get()
        finally:
            if self.worker is process and process.container.processes.get(self.process.pid) is self.process:
                self.worker = None
                asyncio.get_running_loop().call_soon(self._replace)
        return 0

    def _replace(self) -> None:
        if self.worker is None and self.process.pid in self.process.container.processes:
            self._start_worker()


def _version(word: str, directive: Directive) -> ssl.TLSVersion:
    if word not in PROTOCOLS:
        raise ConfigError(f'invalid value "{word}" in {directive.place}')
    return PROTOCOLS[word]


def _nested(directives: list[Directive], name: str) -> list[Directive]:
    found = []
    for directive in directives:
        if directive.name == name:
            found.append(directive)
        if directive.block:
            found += _nested(directive.block, name)
    return found


def nginx(version: str):  # type: ignore[no-untyped-def]
    """The program for a version."""

    async def run(process: Process) -> int:
        master = Nginx(process, version)
        words = process.argv[1:]
        action = ""
        while words:
            word = words.pop(0)
            if word == "-g" and words:
                master.globals = words.pop(0)
            elif word == "-c" and words:
                master.config = process.path(words.pop(0))
            elif word == "-s" and words:
                action = words.pop(0)
            elif word in ("-t", "-T", "-v", "-V", "-tq", "-q"):
                action = word
        if action in ("-v", "-V"):
            await process.err(f"nginx version: nginx/{version}\n")
            return 0
        if action.startswith(("-t", "-T")):
            return await _test(master, dump=action == "-T")
        if action:
            return _signal_master(process, action)
        if "daemon off" not in master.globals and process.pid == 1:
            # A daemon leaves its parent; with no parent left, the container ends.
            return 0 if await master.start() is not None else 1
        if "daemon off" not in master.globals:
            process.detach(lambda daemon: Nginx(daemon, version).run())
            await asyncio.sleep(0)
            return 0
        return await master.run()

    return run


async def _test(master: Nginx, *, dump: bool) -> int:
    process = master.process
    try:
        await master.load()
    except ConfigError as error:
        await master.emerg(str(error))
        await process.err(f"nginx: configuration file {master.config} test failed\n")
        return 1
    await process.err(f"nginx: the configuration file {master.config} syntax is ok\n")
    await process.err(f"nginx: configuration file {master.config} test is successful\n")
    if dump:
        await process.out(f"# configuration file {master.config}:\n" + process.read(master.config).decode())
    return 0


def _signal_master(process: Process, action: str) -> int:
    name = {"reload": "HUP", "stop": "TERM", "quit": "QUIT", "reopen": "USR1"}.get(action, "")
    for other in list(process.container.processes.values()):
        if other is not process and "HUP" in other.handlers and name:
            other.signal(name)
            return 0
    return 1


async def entrypoint(process: Process) -> int:
    """/docker-entrypoint.sh: templates, IPv6, scripts in /docker-entrypoint.d, then the command."""
    argv = process.argv[1:]
    if argv and posixpath.basename(argv[0]) in ("nginx", "nginx-debug"):
        await _prepare(process)
    if not argv:
        return 0
    try:
        program, words = process.container.find(argv, process)
    except NotExecutable as error:
        await process.err(
            f"/docker-entrypoint.sh: exec: line 47: {argv[0]}: {'not found' if error.code == 127 else error.why}\n"
        )
        return error.code
    process.argv = words
    return await program(process)


async def _prepare(process: Process) -> None:
    say = process.out
    name = "/docker-entrypoint.sh"
    await say(f"{name}: /docker-entrypoint.d/ is not empty, will attempt to perform configuration\n")
    await say(f"{name}: Looking for shell scripts in /docker-entrypoint.d/\n")
    files = process.files
    for script in files.listdir("/docker-entrypoint.d"):
        path = f"/docker-entrypoint.d/{script}"
        if script == "10-listen-on-ipv6-by-default.sh":
            await say(f"{name}: Launching {path}\n")
            await _ipv6(process, script)
        elif script == "20-envsubst-on-templates.sh":
            await say(f"{name}: Launching {path}\n")
            await _templates(process, script)
        elif script.endswith(".envsh"):
            await say(f"{name}: Sourcing {path}\n")
        elif script == "30-tune-worker-processes.sh":
            await say(f"{name}: Launching {path}\n")
        elif script.endswith(".sh"):
            if not files.stat(path).mode & 0o111:
                await say(f"{name}: Ignoring {path}, not executable\n")
                continue
            await say(f"{name}: Launching {path}\n")
            await process.run(["/bin/sh", path])
    await say(f"{name}: Configuration complete; ready for start up\n")


async def _ipv6(process: Process, script: str) -> None:
    path = "/etc/nginx/conf.d/default.conf"
    if not process.files.is_file(path):
        await process.out(f"{script}: info: {path} is not a file or does not exist\n")
        return
    text = process.files.read(path)
    try:
        process.files.write(path, text, process.user)
    except OSError:
        await process.out(f"{script}: info: can not modify {path} (read-only file system?)\n")
        return
    await process.out(f"{script}: info: Getting the checksum of {path}\n")
    if b"listen       80;" in text and b"[::]" not in text:
        process.files.write(
            path, text.replace(b"listen       80;", b"listen       80;\n    listen  [::]:80;"), process.user
        )
        await process.out(f"{script}: info: Enabled listen on IPv6 in {path}\n")
    else:
        await process.out(f"{script}: info: {path} differs from the packaged version\n")


async def _templates(process: Process, script: str) -> None:
    source, target = "/etc/nginx/templates", "/etc/nginx/conf.d"
    if not process.files.is_dir(source):
        return
    for name in process.files.listdir(source):
        if not name.endswith(".template"):
            continue
        text = process.files.read(f"{source}/{name}", process.user).decode()
        output = f"{target}/{name.removesuffix('.template')}"
        await process.out(f"{script}: Running envsubst on {source}/{name} to {output}\n")
        text = re.sub(r"\$\{?(\w+)\}?", lambda m: process.env.get(m[1], m[0]), text)
        try:
            process.files.write(output, text.encode(), process.user)
        except OSError:
            await process.out(f"{script}: ERROR: {source} exists, but {target} is not writable\n")
            return
