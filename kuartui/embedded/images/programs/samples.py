"""The applications of Kubernetes' own tutorials: the bootcamp's first app, and the guestbook's front end."""

from __future__ import annotations

import json

from kuartui.embedded.images.model import Program
from kuartui.embedded.images.programs.redis_cli import Connection, ErrorReply
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

BOOTCAMP_JS = """const http = require('http');
const os = require('os');

const host = process.env.HOSTNAME || os.hostname();
const started = new Date();
let requests = 0;

const app = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end(`Hello Kubernetes bootcamp! | Running on: ${host} | v=VERSION\\n`);
  requests += 1;
  const uptime = (new Date() - started) / 1000;
  console.log('Running On:', host, '| Total Requests:', requests, '| App Uptime:', uptime, 'seconds', '| Log Time:', new Date());
});

app.listen(8080, () => {
  console.log('Kubernetes Bootcamp App Started At:', started, '| Running On: ', host, '\\n');
});
"""
"""What /server.js shows; `bootcamp` is what it does."""


def bootcamp(version: str) -> Program:
    """node server.js of kubernetes-bootcamp: tells every caller who it is, and its log how often it did."""

    async def run(process: Process) -> int:
        host = process.env.get("HOSTNAME", process.container.sandbox.hostname)
        if process.argv[1:2] in (["-v"], ["--version"]):
            await process.out("v6.3.1\n")
            return 0
        if process.argv[1:] and process.path(process.argv[1]) != "/server.js":
            await process.err(f"Error: Cannot find module '{process.path(process.argv[1])}'\n")
            return 1
        began, requests = process.clock.monotonic(), 0

        def time() -> str:
            return f"{process.clock.now():%Y-%m-%dT%H:%M:%S}.{process.clock.now().microsecond // 1000:03d}Z"

        async def app(request: Request) -> Response:
            nonlocal requests
            requests += 1
            uptime = round(process.clock.monotonic() - began, 3)
            await process.out(
                f"Running On: {host} | Total Requests: {requests} | App Uptime: {uptime:g} seconds | Log Time: {time()}\n"
            )
            return reply(200, f"Hello Kubernetes bootcamp! | Running on: {host} | v={version}\n", "text/plain")

        try:
            process.listen(8080, server(app))
        except OSError:
            await process.err("Error: listen EADDRINUSE :::8080\n")
            return 1
        await process.out(f"Kubernetes Bootcamp App Started At: {time()} | Running On:  {host} \n\n")
        await process.signals("TERM", "INT").get()
        return 0

    return run


GUESTBOOK = """<html ng-app="redis">
  <head>
    <title>Guestbook</title>
  </head>
  <body ng-controller="RedisCtrl">
    <h2>Guestbook</h2>
    <form>
      <input ng-model="msg" placeholder="Messages" type="text" name="input"><br>
      <button type="button" ng-click="controller.onRedis()">Submit</button>
    </form>
  </body>
</html>
"""


async def guestbook(process: Process) -> int:
    """gb-frontend: a page, and guestbook.php, which writes to Redis' leader and reads from its followers."""

    def host(role: str) -> str:
        if process.env.get("GET_HOSTS_FROM") == "env":
            return process.env.get(f"REDIS_{role.upper()}_SERVICE_HOST", "")
        return f"redis-{role}"

    async def app(request: Request) -> Response:
        if request.path in ("/", "/index.html"):
            return reply(200, GUESTBOOK, "text/html")
        if request.path != "/guestbook.php":
            return reply(404, "Not Found\n")
        query = {name: values[-1] for name, values in request.query.items()}
        key = query.get("key", "").encode()
        try:
            if query.get("cmd") == "set":
                await _redis(process, host("leader"), [b"SET", key, query.get("value", "").encode()])
                return reply(200, json.dumps({"message": "Updated"}), "application/json")
            value = await _redis(process, host("follower"), [b"GET", key])
            return reply(200, json.dumps({"data": value}), "application/json")
        except (OSError, ValueError) as error:
            await process.err(f"PHP Fatal error:  Uncaught Predis\\Connection\\ConnectionException: {error}\n")
            return reply(500)

    try:
        process.listen(80, server(app, name="Apache/2.4.10 (Debian) PHP/5.6.20"))
    except OSError as error:
        await process.err(f"(98)Address already in use: AH00072: make_sock: {error.strerror}\n")
        return 1
    await process.err("AH00094: Command line: 'apache2 -D FOREGROUND'\n")
    await process.signals("TERM", "WINCH").get()
    return 0


async def _redis(process: Process, host: str, words: list[bytes]) -> str:
    """Ask a Redis server one thing. Raises OSError, or ValueError with what it refused."""
    connection = Connection(await process.connect(host, 6379))
    try:
        answer = await connection.ask(words)
    finally:
        connection.close()
    if isinstance(answer, ErrorReply):
        raise ValueError(str(answer))
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer or "")
