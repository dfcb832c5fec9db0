"""How nginx answers a request: virtual servers, locations, files, redirects, proxying, and its error pages."""

from __future__ import annotations

import asyncio
import itertools
import posixpath
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct, field

from kuartui.embedded.images.programs.files_server import date, inside, media_type, validators
from kuartui.embedded.images.programs.nginx_conf import Block, ConfigError, Directive
from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.network.http import Client, Headers, ProtocolError, Request, Response, phrase, reply
from kuartui.embedded.network.ingress import nginx_page
from kuartui.embedded.network.plain_http import BODILESS, KEEP_ALIVE
from kuartui.embedded.node.runtime.process import Process

INHERITED = ("root", "index", "access_log", "error_log", "autoindex", "default_type", "error_page", "add_header",
             "proxy_set_header", "allow", "deny", "auth_basic", "proxy_connect_timeout", "proxy_read_timeout")  # fmt: skip
HOPS = 10
LISTEN = re.compile(
    "default(_server)?|ssl|http2|http3|quic|deferred|bind|reuseport|multipath|proxy_protocol"
    "|(setfib|fastopen|backlog|rcvbuf|sndbuf|accept_filter|ipv6only|so_keepalive)=.*"
)
OWN_FIRST = ("Content-Type", "Content-Length", "Last-Modified", "Location")  # of its headers; of an upstream's, two

# Where nginx has words of its own, in the status line and, if others, on its page.
REASONS = {
    302: "Moved Temporarily",
    405: "Not Allowed",
    414: "Request-URI Too Large",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
TITLES = {302: "Found", 401: "Authorization Required"}


class Location(Struct):
    """One location block, or a server's own level."""

    modifier: str
    pattern: str
    block: Block
    children: list[Location] = field(default_factory=list)


class Server(Struct):
    """A virtual server."""

    names: list[str]
    block: Block
    top: Location


class Exchange(Struct):
    """A request on its way through nginx."""

    request: Request
    server: Server
    port: int
    uri: str
    args: str
    number: int
    variables: dict[str, str] = field(default_factory=dict)
    settings: dict[str, list[Directive]] = field(default_factory=dict)
    upstream: str = ""


class Site:
    """Everything configured in `http {}`."""

    def __init__(self, process: Process, http: Block, version: str, say: Callable[[str, str], object]) -> None:
        self.process = process
        self.version = version
        self._say = say
        self._counter = itertools.count(1)
        self._turns: dict[str, itertools.count[int]] = {}
        self._inherited: dict[tuple[int, int], dict[str, list[Directive]]] = {}  # by server and location
        self.http = http
        self.upstreams = {d.args[0]: Block(d.block or []) for d in http.all("upstream")}
        self.formats = {d.args[0]: "".join(d.args[1:]) for d in http.all("log_format")}
        self.by_port: dict[int, list[Server]] = {}
        self.tls: dict[int, Block] = {}
        for directive in http.all("server"):
            self._add_server(Block(directive.block or []))

    def _add_server(self, block: Block) -> None:
        names = [name for d in block.all("server_name") for name in d.args] or [""]
        top = Location("", "", block, [self._location(d) for d in block.all("location")])
        server = Server(names, block, top)
        for directive in block.all("listen"):
            for word in directive.args[1:]:
                if not LISTEN.fullmatch(word):
                    raise ConfigError(f'invalid parameter "{word}" in {directive.place}')
        listens = [d.args for d in block.all("listen")] or [["80"]]
        for words in listens:
            if words[0].startswith(("[", "unix:")):
                continue  # the cluster's network is IPv4
            port = int(words[0].rpartition(":")[2]) if words[0].rpartition(":")[2].isdigit() else 80
            servers = self.by_port.setdefault(port, [])
            if "default_server" in words or "default" in words:
                servers.insert(0, server)
            else:
                servers.append(server)
            if "ssl" in words[1:]:
                self.tls.setdefault(port, block)

    def _location(self, directive: Directive) -> Location:
        words = directive.args
        modifier, pattern = (words[0], words[1]) if len(words) > 1 else ("", words[0])
        for sign in ("=", "~*", "~", "^~"):
            if len(words) == 1 and pattern.startswith(sign):
                modifier, pattern = sign, pattern[len(sign) :]
                break
        block = Block(directive.block or [])
        return Location(modifier, pattern, block, [self._location(d) for d in block.all("location")])

    # --- requests ---

    def app(self, port: int) -> Callable[[Request], asyncio.Future[Response]]:
        """The app behind a port."""

        async def handle(request: Request) -> Response:
            path, _, args = request.target.partition("?")
            server = self._choose(port, request.host)
            exchange = Exchange(request, server, port, request.path if path else "/", args, next(self._counter))
            response = await self._serve(exchange)
            self._dress(exchange, response)
            await self._access_log(exchange, response)
            return response

        return handle  # type: ignore[return-value]

    def _dress(self, exchange: Exchange, response: Response) -> None:
        """Complete the headers, and put them into nginx' order (ngx_http_header_filter)."""
        if response.upgrade is not None:
            return
        headers = response.headers
        if isinstance(response.body, bytes) and response.status not in BODILESS:
            headers.replace("Content-Length", str(len(response.body)))
        if response.status == 204:
            headers.replace("Content-Type", None)
        first = OWN_FIRST[:2] if exchange.upstream else OWN_FIRST
        head = [(name, value) for name in first if (value := headers.find(name))]
        gone = {"connection", "date", *map(str.lower, first)}
        rest = [header for header in headers if header[0].lower() not in gone]
        headers[:] = [date(self.process), *head, KEEP_ALIVE, *rest]

    def _choose(self, port: int, host: str) -> Server:
        servers = self.by_port[port]
        host = host.lower()
        for server in servers:
            if host in server.names:
                return server
        for server in servers:
            if any(n.startswith("*.") and host.endswith(n[1:]) for n in server.names):
                return server
        for server in servers:
            if any(n.endswith(".*") and host.startswith(n[:-1]) for n in server.names):
                return server
        for server in servers:
            if any(n.startswith("~") and re.search(n[1:], host) for n in server.names):
                return server
        return servers[0]

    async def _serve(self, exchange: Exchange) -> Response:
        for _ in range(HOPS):
            location = _find(exchange.server.top, exchange.uri)
            exchange.settings = self._settings(exchange.server, location)
            result = await self._handle(exchange, location)
            if isinstance(result, Response):
                return await self._error_page(exchange, result)
        return self.error(500)

    def _settings(self, server: Server, location: Location | None) -> dict[str, list[Directive]]:
        """What applies there; looked up once, as the configuration stays as it was read."""
        place = id(server), id(location)
        if place not in self._inherited:
            found: dict[str, list[Directive]] = {}
            for block in (self.http, server.block, *([location.block] if location else [])):
                for name in INHERITED:
                    own = list(block.all(name))
                    if own:
                        found[name] = own
            self._inherited[place] = found
        return self._inherited[place]

    async def _handle(self, exchange: Exchange, location: Location | None) -> Response | None:
        """Answer, or None when the URI was rewritten and the search starts again."""
        for block in (exchange.server.block, *([location.block] if location else [])):
            done = self._rewrites(exchange, block)
            if done == "again" and location is not None and block is location.block:
                return None
            if isinstance(done, Response):
                return done
        if not self._allowed(exchange):
            return self.error(403)
        if "auth_basic" in exchange.settings and exchange.settings["auth_basic"][-1].args[0] != "off":
            if not exchange.request.headers.find("authorization"):
                realm = exchange.settings["auth_basic"][-1].args[0]
                response = self.error(401)
                response.headers.append(("WWW-Authenticate", f'Basic realm="{realm}"'))
                return response
        block = location.block if location else exchange.server.block
        if block.last("stub_status"):
            return reply(
                200,
                "Active connections: 1 \nserver accepts handled requests\n 1 1 1 \nReading: 0 Writing: 1 Waiting: 0 \n",
            )
        proxy = block.last("proxy_pass")
        if proxy is not None:
            return await self._proxy(exchange, location, proxy.args[0])
        tries = block.last("try_files") or (exchange.server.block.last("try_files") if location is None else None)
        if tries is not None:
            return await self._try_files(exchange, location, tries.args)
        return await self._file(exchange, self._path(exchange, location, exchange.uri))

    def _rewrites(self, exchange: Exchange, block: Block) -> Response | str | None:
        for directive in block.directives:
            name, args = directive.name, directive.args
            if name == "set":
                exchange.variables[args[0].lstrip("$")] = self.expand(exchange, args[1])
            elif name == "return":
                return self._return(exchange, args)
            elif name == "if" and directive.block is not None and self._condition(exchange, args):
                done = self._rewrites(exchange, Block(directive.block))
                if done is not None:
                    return done
            elif name == "rewrite":
                found = re.search(args[0], exchange.uri)
                if not found:
                    continue
                new = _with_groups(self.expand(exchange, args[1]), found)
                flag = args[2] if len(args) > 2 else ""
                if flag in ("redirect", "permanent") or new.startswith(("http://", "https://")):
                    return self._redirect(exchange, 301 if flag == "permanent" else 302, new)
                exchange.uri, _, query = new.partition("?")
                exchange.args = query or exchange.args
                if flag != "break":
                    return "again"
                return None
        return None

    def _condition(self, exchange: Exchange, args: list[str]) -> bool:
        words = " ".join(args).strip("() ").split()
        if len(words) == 1:
            return self.expand(exchange, words[0]) not in ("", "0")
        if len(words) == 2 and words[0] in ("-f", "!-f", "-d", "-e"):
            exists = self.process.files.exists(self.expand(exchange, words[1]))
            return exists != words[0].startswith("!")
        left, operator, right = self.expand(exchange, words[0]), words[1], " ".join(words[2:]).strip("\"'")
        match operator:
            case "=":
                return left == right
            case "!=":
                return left != right
            case "~" | "!~":
                return bool(re.search(right, left)) == (operator == "~")
            case "~*":
                return bool(re.search(right, left, re.IGNORECASE))
        return False

    def _return(self, exchange: Exchange, args: list[str]) -> Response:
        if not args[0].isdigit():
            return self._redirect(exchange, 302, self.expand(exchange, args[0]))
        status = int(args[0])
        if len(args) == 1:
            return reply(status) if status < 300 else self.error(status)
        text = self.expand(exchange, args[1])
        if status in (301, 302, 303, 307, 308):
            return self._redirect(exchange, status, text)
        kind = exchange.settings.get("default_type")
        return reply(status, text, kind[-1].args[0] if kind else "text/plain")

    def _redirect(self, exchange: Exchange, status: int, target: str) -> Response:
        response = self.error(status)
        if target.startswith("/"):
            target = f"{exchange.request.scheme}://{exchange.request.host}{target}"
        response.headers.append(("Location", target))
        return response

    def _allowed(self, exchange: Exchange) -> bool:
        import ipaddress

        rules = sorted(
            [*exchange.settings.get("allow", []), *exchange.settings.get("deny", [])], key=lambda d: (d.file, d.line)
        )
        for rule in rules:
            who = rule.args[0]
            if who == "all" or ipaddress.ip_address(exchange.request.peer[0]) in ipaddress.ip_network(
                who, strict=False
            ):
                return rule.name == "allow"
        return True

    def _path(self, exchange: Exchange, location: Location | None, uri: str) -> str:
        alias = location.block.last("alias") if location else None
        if location is not None and alias is not None:
            return posixpath.normpath(
                self.expand(exchange, alias.args[0]) + "/" + uri[len(location.pattern) :].lstrip("/")
            )
        roots = exchange.settings.get("root")
        return inside(self.expand(exchange, roots[-1].args[0]) if roots else "/etc/nginx/html", uri)

    async def _try_files(self, exchange: Exchange, location: Location | None, names: list[str]) -> Response | None:
        for name in names[:-1]:
            uri = self.expand(exchange, name)
            path = self._path(exchange, location, uri)
            if uri.endswith("/") and self.process.files.is_dir(path):
                exchange.uri = uri
                return await self._file(exchange, path)
            if self.process.files.is_file(path):
                return await self._file(exchange, path)
        last = self.expand(exchange, names[-1])
        if last.startswith("="):
            return self.error(int(last[1:]))
        if last.startswith("@"):
            named = next((loc for loc in exchange.server.top.children if loc.pattern == last), None)
            return await self._handle(exchange, named) if named else self.error(500)
        if last.partition("?")[0] == exchange.uri:
            return await self._file(exchange, self._path(exchange, location, exchange.uri))
        exchange.uri, _, query = last.partition("?")
        exchange.args = query or exchange.args
        return None

    async def _file(self, exchange: Exchange, path: str) -> Response:
        files = self.process.files
        if exchange.request.method not in ("GET", "HEAD"):
            return self.error(405)
        if files.is_dir(path):
            if not exchange.uri.endswith("/"):
                return self._redirect(exchange, 301, exchange.uri + "/")
            for name in [n for d in exchange.settings.get("index", []) for n in d.args] or ["index.html"]:
                if files.is_file(posixpath.join(path, name)):
                    return await self._read(exchange, posixpath.join(path, name))
            listing = exchange.settings.get("autoindex")
            if listing and listing[-1].args[0] == "on":
                return self._listing(exchange, path)
            await self._error(exchange, f'directory index of "{path.rstrip("/")}/" is forbidden')
            return self.error(403)
        if exchange.uri.endswith("/") and files.exists(path):  # a file, asked for as if it were a directory
            await self._error(exchange, f'"{path}/index.html" is not found (20: Not a directory)')
            return self.error(404)
        return await self._read(exchange, path)

    async def _read(self, exchange: Exchange, path: str) -> Response:
        try:
            body = self.process.files.read(path, self.process.user)
        except OSError as error:
            await self._error(exchange, f'open() "{path}" failed ({error.errno}: {error.strerror})')
            return self.error(403 if isinstance(error, PermissionError) else 404)
        default = exchange.settings.get("default_type")
        kind = media_type(path, default[-1].args[0] if default else "application/octet-stream")
        facts = validators(self.process, path)
        if exchange.request.headers.find("if-none-match") == facts[1][1]:
            return Response(304, Headers(facts))
        return reply(200, body, kind, [*facts, ("Accept-Ranges", "bytes")])

    def _listing(self, exchange: Exchange, path: str) -> Response:
        rows = "".join(f'<a href="{name}">{name}</a>\n' for name in self.process.files.listdir(path))
        title = f"Index of {exchange.uri}"
        page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<h1>{title}</h1><hr><pre>{rows}</pre><hr></body>\r\n</html>\r\n"
        return reply(200, page, "text/html")

    # --- proxying ---

    async def _proxy(self, exchange: Exchange, location: Location | None, target: str) -> Response:
        url = self.expand(exchange, target)
        parts = urlsplit(url if "://" in url else "http://" + url)
        uri = exchange.uri
        if parts.path and "$" not in target and location is not None and location.modifier not in ("~", "~*"):
            uri = parts.path + uri[len(location.pattern) :]
        elif parts.path and "$" in target:
            uri = parts.path
        elif uri == exchange.request.path:
            uri = exchange.request.target.partition("?")[0]
        query = f"?{exchange.args}" if exchange.args else ""
        request = exchange.request
        headers = Headers(
            (n, v)
            for n, v in request.headers
            if n.lower() not in ("host", "connection", "keep-alive", "transfer-encoding")
        )
        headers.insert(0, ("Host", parts.netloc))
        for directive in exchange.settings.get("proxy_set_header", []):
            headers.replace(directive.args[0], self.expand(exchange, directive.args[1]) or None)
        headers.append(("Connection", "close"))
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        failure: OSError | None = None
        for name, number in self._peers(host, port):
            try:
                address = (await self.process.resolve(name))[0]
            except NameNotResolved:
                await self._error(exchange, f"{name} could not be resolved (3: Host not found)")
                return self.error(502)
            where = f'upstream: "{parts.scheme}://{address}:{number}{uri}{query}"'
            try:
                limit = _seconds(exchange, "proxy_connect_timeout")
                exchange.upstream = f"{address}:{number}"
                async with self.process.clock.timeout(limit):
                    stream = await self.process.connect(address, number, seconds=limit + 1)
                async with self.process.clock.timeout(_seconds(exchange, "proxy_read_timeout")):
                    client = Client(stream)
                    response = await client.send(request.method, uri + query, headers, request.body)
                    await response.read()
                client.close()
            except TimeoutError:
                await self._error(
                    exchange, f"upstream timed out (110: Operation timed out) while connecting to upstream, {where}"
                )
                failure = TimeoutError()
            except ProtocolError:
                await self._error(
                    exchange,
                    f"upstream prematurely closed connection while reading response header from upstream, {where}",
                )
                return self.error(502)
            except OSError as error:
                await self._error(
                    exchange,
                    f"connect() failed ({error.errno}: {error.strerror}) while connecting to upstream, {where}",
                )
                failure = error
            else:
                response.headers[:] = [
                    (n, v)
                    for n, v in response.headers
                    if n.lower() not in ("connection", "transfer-encoding", "server", "content-length")
                ]
                return response
        return self.error(504 if isinstance(failure, TimeoutError) else 502)

    def _peers(self, host: str, port: int) -> list[tuple[str, int]]:
        block = self.upstreams.get(host)
        if block is None:
            return [(host, port)]
        peers: list[tuple[str, int]] = []
        for directive in block.all("server"):
            if "down" in directive.args or "backup" in directive.args:
                continue
            name, _, number = directive.args[0].partition(":")
            weight = next((int(w[7:]) for w in directive.args if w.startswith("weight=")), 1)
            peers += [(name, int(number or 80))] * weight
        turn = next(self._turns.setdefault(host, itertools.count())) % max(1, len(peers))
        return list(dict.fromkeys(peers[turn:] + peers[:turn]))

    # --- errors and logs ---

    def error(self, status: int) -> Response:
        """nginx' own page for a status."""
        if status == 444:
            status = 400
        reason = REASONS.get(status, phrase(status))
        title = f"{status} {TITLES.get(status, reason)}"
        response = reply(status, nginx_page(title, f"nginx/{self.version}"), "text/html")
        response.reason = reason
        return response

    async def _error_page(self, exchange: Exchange, response: Response) -> Response:
        for directive in exchange.settings.get("add_header", []):
            if response.status in (200, 201, 204, 206, 301, 302, 303, 304, 307, 308) or "always" in directive.args:
                response.headers.append((directive.args[0], self.expand(exchange, directive.args[1])))
        if response.status < 400:
            return response
        for directive in exchange.settings.get("error_page", []):
            codes = [word for word in directive.args[:-1] if word.isdigit()]
            if str(response.status) not in codes:
                continue
            uri = directive.args[-1]
            location = _find(exchange.server.top, uri)
            settings = self._settings(exchange.server, location)
            path = inside(settings["root"][-1].args[0] if "root" in settings else "/etc/nginx/html", uri)
            if uri.startswith("/") and self.process.files.is_file(path):
                changed = next((int(w[1:]) for w in directive.args if w.startswith("=") and w[1:]), response.status)
                return reply(changed, self.process.files.read(path), media_type(path))
        return response

    async def _error(self, exchange: Exchange, text: str) -> None:
        request = exchange.request
        name = exchange.server.names[0]
        await self._log(
            f"*{exchange.number} {text}, client: {request.peer[0]}, server: {name}, "
            f'request: "{request.method} {request.target} HTTP/{request.version}", host: "{request.headers.find("host")}"'
        )

    async def _log(self, text: str) -> None:
        result = self._say("error", text)
        if asyncio.iscoroutine(result):
            await result

    async def _access_log(self, exchange: Exchange, response: Response) -> None:
        chosen = exchange.settings.get("access_log")
        if not chosen or chosen[-1].args[0] == "off":
            return
        form = self.formats.get(chosen[-1].args[1] if len(chosen[-1].args) > 1 else "", COMBINED)
        size = len(response.body) if isinstance(response.body, bytes) and exchange.request.method != "HEAD" else 0
        exchange.variables |= {"status": str(response.status), "body_bytes_sent": str(size), "bytes_sent": str(size)}
        line = self.expand(exchange, form) + "\n"
        path = chosen[-1].args[0]
        if path in ("/dev/stdout", "/var/log/nginx/access.log"):
            await self.process.out(line)
        else:
            self.process.files.write(path, line.encode(), self.process.user, append=True)

    def expand(self, exchange: Exchange, text: str) -> str:
        """Replace $variables."""
        if "$" not in text:
            return text
        return VARIABLE.sub(lambda m: self._variable(exchange, m[1]), text)

    def _variable(self, exchange: Exchange, name: str) -> str:
        request = exchange.request
        if name in exchange.variables:
            return exchange.variables[name]
        if name.startswith("http_"):
            return request.headers.find(name[5:].replace("_", "-")) or ("-" if "status" in exchange.variables else "")
        if name.startswith("arg_"):
            return (request.query.get(name[4:]) or [""])[0]
        known = VARIABLES.get(name)
        return known(exchange, self) if known is not None else ""


def _forwarded(exchange: Exchange, _: Site) -> str:
    before, peer = exchange.request.headers.find("x-forwarded-for"), exchange.request.peer[0]
    return f"{before}, {peer}" if before else peer


#: what nginx knows of an exchange (http://nginx.org/en/docs/varindex.html)
VARIABLES: dict[str, Callable[[Exchange, Site], str]] = {
    "host": lambda e, _: e.request.host or e.server.names[0],
    "http_host": lambda e, _: e.request.headers.find("host"),
    "uri": lambda e, _: e.uri,
    "document_uri": lambda e, _: e.uri,
    "request_uri": lambda e, _: e.request.target,
    "remote_addr": lambda e, _: e.request.peer[0],
    "remote_port": lambda e, _: str(e.request.peer[1]),
    "remote_user": lambda _, __: "-",
    "hostname": lambda _, site: site.process.container.sandbox.hostname,
    "server_addr": lambda _, site: site.process.ip,
    "server_port": lambda e, _: str(e.port),
    "server_name": lambda e, _: e.server.names[0],
    "args": lambda e, _: e.args,
    "query_string": lambda e, _: e.args,
    "is_args": lambda e, _: "?" if e.args else "",
    "scheme": lambda e, _: e.request.scheme,
    "request_method": lambda e, _: e.request.method,
    "request": lambda e, _: f"{e.request.method} {e.request.target} HTTP/{e.request.version}",
    "pid": lambda _, __: "29",
    "nginx_version": lambda _, site: site.version,
    "server_protocol": lambda e, _: f"HTTP/{e.request.version}",
    "request_time": lambda _, __: "0.000",
    "upstream_addr": lambda e, _: e.upstream,
    "proxy_host": lambda e, _: e.upstream,
    "request_body": lambda e, _: e.request.body.decode(errors="replace"),
    "proxy_add_x_forwarded_for": _forwarded,
    "time_local": lambda _, site: site.process.clock.now().strftime("%d/%b/%Y:%H:%M:%S +0000"),
    "time_iso8601": lambda _, site: site.process.clock.now().strftime("%Y-%m-%dT%H:%M:%S+00:00"),
    "connection_upgrade": lambda _, __: "close",
    "request_id": lambda e, _: f"{e.number:032x}",
}
VARIABLE = re.compile(r"\$\{?(\w+)\}?")
COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)


def _with_groups(text: str, found: re.Match[str]) -> str:
    return re.sub(r"\$(\d)", lambda m: found.group(int(m[1])) or "", text)


def _find(top: Location, uri: str) -> Location | None:
    """nginx' search: exact, then the longest prefix; regular expressions win over it unless it says ^~."""
    best: Location | None = None
    for location in top.children:
        if location.modifier == "=" and uri == location.pattern:
            return location
        if (
            location.modifier in ("", "^~")
            and uri.startswith(location.pattern)
            and (best is None or len(location.pattern) > len(best.pattern))
        ):
            best = location
    if best is not None and best.children:
        deeper = _find(best, uri)
        if deeper is not None:
            best = deeper
    if best is not None and best.modifier == "^~":
        return best
    for location in top.children:
        if location.modifier in ("~", "~*"):
            flags = re.IGNORECASE if location.modifier == "~*" else 0
            if re.search(location.pattern, uri, flags):
                return location
    return best


def _seconds(exchange: Exchange, name: str) -> float:
    chosen = exchange.settings.get(name)
    text = chosen[-1].args[0] if chosen else "60s"
    found = re.fullmatch(r"(\d+)(ms|s|m|h)?", text)
    return int(found[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}.get(found[2] or "s", 1) if found else 60.0
