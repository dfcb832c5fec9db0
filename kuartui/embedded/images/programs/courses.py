"""The small applications that courses for the Kubernetes exams deploy, as their sources have them."""

from __future__ import annotations

import html
import json
import random

from kuartui.embedded.images.programs.agnhost import agnhost
from kuartui.embedded.images.programs.mysql_login import LoginFailed, log_in
from kuartui.embedded.images.programs.python import python
from kuartui.embedded.network.http import App, Request, Response, reply, server
from kuartui.embedded.node.runtime.process import Process

COLORS = {
    "red": "#e74c3c",
    "green": "#16a085",
    "blue": "#2980b9",
    "blue2": "#30336b",
    "pink": "#be2edd",
    "darkblue": "#130f40",
}
EVENTS = ("logged in", "logged out", "is viewing page1", "is viewing page2", "is viewing page3")
EVENT_LOG = "/log/app.log"
UNREACHABLE = {
    "ENOTFOUND": "-2 Name does not resolve",
    "ECONNREFUSED": "111 Connection refused",
    "ETIMEDOUT": "110 Operation timed out",
}
LOCKED, SOLD_OUT = 5, 8  # every so many events something goes wrong
CONFIG = "/usr/shared/app/config.json"


async def webapp_color(process: Process) -> int:
    """python app.py [--color COLOR]: a page in a colour, of the command line, of APP_COLOR or a random one.

    Any other command line is Python's.
    """
    if process.argv[1:2] != ["app.py"]:
        return await python(process)
    supported = ",".join(COLORS)
    await process.out(
        " This is a sample web application that displays a colored background. \n"
        " A color can be specified in two ways. \n\n"
        f" 1. As a command line argument with --color as the argument. Accepts one of {supported} \n"
        f" 2. As an Environment variable APP_COLOR. Accepts one of {supported} \n"
        " 3. If none of the above then a random color is picked from the above list. \n"
        " Note: Command line argument precedes over environment variable.\n\n\n"
    )
    given, set_ = _option(process.argv[2:]), process.env.get("APP_COLOR")
    if given is None:
        await process.err("usage: app.py [-h] [--color COLOR]\napp.py: error: unrecognized arguments\n")
        return 2
    color = given or set_ or random.choice(list(COLORS))
    if given:
        await process.out(f"Color from command line argument ={given}\n")
        if set_:
            await process.out(
                f"A color was set through environment variable -{set_}. However, color from command line argument takes "
                "precendence.\n"
            )
    elif set_:
        await process.out(f"No Command line argument. Color from environment variable ={set_}\n")
    else:
        await process.out(f"No command line argument or environment variable. Picking a Random Color ={color}\n")
    if color not in COLORS:
        await process.out(f"Color not supported. Received '{color}' expected one of {supported}\n")
        return 1
    hostname = process.container.sandbox.hostname
    page = (
        f'<!doctype html>\n<title>Hello from Flask</title>\n<body style="background: {COLORS[color]};"></body>\n'
        '<div style="color: #e4e4e4;\n    text-align:  center;\n    height: 90px;\n    vertical-align:  middle;">\n\n'
        f"  <h1>Hello from {hostname}!</h1>\n\n</div>"
    )

    async def app(request: Request) -> Response:
        status = 200 if request.path == "/" else 404
        now = process.clock.now()
        line = (
            f'{request.peer[0]} - - [{now:%d/%b/%Y %H:%M:%S}] "{request.method} {request.target} HTTP/1.1" {status} -'
        )
        await process.err(line + "\n")
        text = page if status == 200 else "<!doctype html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
        return reply(status, text, "text/html; charset=utf-8")

    return await _serve(process, 8080, app, f" * Serving Flask app 'app'\n * Running on http://{process.ip}:8080\n")


def _option(words: list[str]) -> str | None:
    """The value of --color, "" without it, None if there is anything else."""
    if not words:
        return ""
    name, equals, value = words[0].partition("=")
    if name != "--color" or len(words) != (1 if equals else 2):
        return None
    return value if equals else words[1]


async def event_simulator(process: Process) -> int:
    """A web shop's log, a line a second; LOG_HANDLERS, OVERRIDE_USER and PRINT_SPECIAL_MESSAGE change it."""
    handlers = (process.env.get("LOG_HANDLERS") or "file,console").split(",")
    user = process.env.get("OVERRIDE_USER") or "USER7"
    special = process.env.get("PRINT_SPECIAL_MESSAGE") != "FALSE"

    async def log(level: str, message: str) -> None:
        now = process.clock.now()
        line = f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}] {level} in event-simulator: {message}\n"
        if "file" in handlers:
            process.files.write(process.path(EVENT_LOG), line.encode(), append=True)
        if "console" in handlers:
            await process.err(line)

    count = 0
    while True:
        await log("INFO", f"USER{random.randint(1, 4)} {random.choice(EVENTS)}")
        await process.clock.sleep(1)
        count += 1
        if special and count % LOCKED == 0:
            await log("WARNING", "USER5 Failed to Login as the account is locked due to MANY FAILED ATTEMPTS.")
        if special and count % SOLD_OUT == 0:
            await log("WARNING", f"{user} Order failed as the item is OUT OF STOCK.")


async def read_config(process: Process) -> int:
    """A web server that tells the database's address from /usr/shared/app/config.json."""

    async def app(request: Request) -> Response:
        try:
            database = json.loads(process.read(CONFIG))["dbConfig"]
            found = f"Database URL: {database['host']}:{database['port']}/{database['dbName']}\n"
        except (OSError, ValueError, KeyError) as error:
            await process.err(f"{type(error).__name__}: {error}\n")
            return reply(500, "")
        return reply(200, found)

    return await _serve(process, 8080, app, "Server running at http://0.0.0.0:8080/\n")


async def database_check(process: Process) -> int:
    """A web server on port 3000 that logs in to the MySQL of DB_HOST as DB_USER with DB_PASSWORD and tells how that went."""

    async def app(request: Request) -> Response:
        host, user = process.env.get("DB_HOST", "localhost"), process.env.get("DB_USER", "")
        try:
            await log_in(process, host, 3306, user, process.env.get("DB_PASSWORD", ""))
        except LoginFailed as failure:
            code = f"{failure.code}: " if failure.code.startswith("ER_") else ""
            return reply(200, f"Failed to connect to database: {code}{failure.message}")
        return reply(200, "Successfully connected to database!")

    return await _serve(process, 3000, app, "Server running at http://0.0.0.0:3000/\n")


async def database_page(process: Process) -> int:
    """A page on port 8080 that says whether the MySQL of DB_Host lets DB_User in, in the words of Python's driver."""
    names = ("DB_Host", "DB_Database", "DB_User", "DB_Password")
    told = "Environment Variables: " + "; ".join(f"{name}={process.env.get(name) or 'Not Set'}" for name in names)
    host, user = process.env.get("DB_Host") or "localhost", process.env.get("DB_User") or "root"

    async def app(request: Request) -> Response:
        failed = ""
        try:
            await log_in(process, host, 3306, user, process.env.get("DB_Password") or "paswrd")
        except LoginFailed as failure:
            why = UNREACHABLE.get(failure.code)
            failed = (
                f"2003: Can't connect to MySQL server on '{host}:3306' ({why})"
                if why
                else f"1045 (28000): {failure.message}"
            )
        color = "#ff3f3f" if failed else "#39b54b"
        verdict = (
            "Failed connecting to the MySQL database. " if failed else "Successfully connected to the MySQL database."
        )
        page = (
            f'<!doctype html>\n<title>Hello from Flask</title>\n<body style="background: {color};"></body>\n'
            f"<div>\n    <h3> {verdict}</h3>\n    <h2> {html.escape(f'{told}; {failed}')} </h2>\n"
            f"    <p> From {process.container.sandbox.hostname}!</p>\n</div>"
        )
        return reply(200, page, "text/html; charset=utf-8")

    return await _serve(process, 8080, app, f" * Serving Flask app 'app'\n * Running on http://{process.ip}:8080\n")


async def liveness_server(process: Process) -> int:
    """/server: healthy for its first ten seconds, as agnhost's `liveness`, which came after it."""
    process.argv = [*process.argv[:1], "liveness"]
    return await agnhost(process)


async def throw_dice(process: Process) -> int:
    """A number from 1 to 6, of which only 6 is a success."""
    thrown = random.randint(1, 6)
    await process.out(f"{thrown}\n")
    return 0 if thrown == 6 else 1


async def delayed_start(process: Process) -> int:
    """A web server on port 8080 that takes APP_START_DELAY seconds to start."""
    await process.clock.sleep(float(process.env.get("APP_START_DELAY") or 0))

    async def app(request: Request) -> Response:
        if request.path in ("/ready", "/live"):
            return reply(200, f"Message from {process.container.sandbox.hostname} : I am {request.path[1:]}!")
        return reply(200, f"<h1>Hello from {process.container.sandbox.hostname}!</h1>", "text/html; charset=utf-8")

    return await _serve(process, 8080, app, " * Running on http://0.0.0.0:8080/\n")


async def rollouts_demo(process: Process) -> int:
    """A page on port 8080 that asks /color for the colour of its image's tag; a "bad" image fails, a "slow" one takes its time."""
    *kinds, color = process.container.spec.image.tag.split("-")

    async def app(request: Request) -> Response:
        if request.path != "/color":
            return reply(200, "<!doctype html>\n<title>Argo Rollouts Demo</title>\n", "text/html; charset=utf-8")
        if "slow" in kinds:
            await process.clock.sleep(2)
        return reply(500 if "bad" in kinds else 200, f'"{color}"')

    return await _serve(process, 8080, app, "Started server on :8080\n")


async def hello_kubernetes(process: Process) -> int:
    """A page on port 8080 with MESSAGE and the pod's name."""
    message = html.escape(process.env.get("MESSAGE") or "Hello world!")
    port = int(process.env.get("PORT") or 8080)

    async def app(request: Request) -> Response:
        rows = "".join(
            f"  <tr><th>{name}:</th><td>{html.escape(value)}</td></tr>\n"
            for name, value in (
                ("namespace", process.env.get("KUBERNETES_NAMESPACE") or "-"),
                ("pod", process.env.get("KUBERNETES_POD_NAME") or process.container.sandbox.hostname),
                ("node", process.env.get("KUBERNETES_NODE_NAME") or "-"),
            )
        )
        page = f"<!DOCTYPE html>\n<title>Hello Kubernetes!</title>\n<div id=message>\n  {message}\n</div>\n<table>\n{rows}</table>\n"
        return reply(200, page, "text/html; charset=utf-8")

    return await _serve(process, port, app, f"Listening on: http://{process.container.sandbox.hostname}:{port}\n")


async def kiada(process: Process) -> int:
    """A line on port 8080 about who answers whom."""
    version, hostname = process.container.spec.image.tag, process.container.sandbox.hostname

    async def app(request: Request) -> Response:
        client = f"::ffff:{request.peer[0]}"
        await process.out(f"Received request for {request.target} from {client}\n")
        return reply(
            200, f'Kiada version {version}. Request processed by "{hostname}". Client IP: {client}\n', "text/plain"
        )

    await process.out(
        "Kiada - Kubernetes in Action Demo Application\n---------------------------------------------\n"
        f"Kiada {version} starting...\nLocal hostname is {hostname}\n"
    )
    return await _serve(process, 8080, app, "Listening on port 8080\n")


async def unhealthy(process: Process) -> int:
    """A web server on port 8080 that is well for five requests."""
    requests = 0

    async def app(request: Request) -> Response:
        nonlocal requests
        requests += 1
        await process.out(f"Received request from ::ffff:{request.peer[0]}\n")
        if requests > 5:
            return reply(500, "I'm not well. Please restart me!")
        return reply(200, f"You've hit {process.container.sandbox.hostname}\n")

    return await _serve(process, 8080, app, "Kubia server starting...\n")


async def batch_job(process: Process) -> int:
    """Two minutes of work."""
    await process.out(f"{process.clock.now():%a %b %e %H:%M:%S UTC %Y} Batch job starting\n")
    await process.clock.sleep(120)
    await process.out(f"{process.clock.now():%a %b %e %H:%M:%S UTC %Y} Finished succesfully\n")
    return 0


async def _serve(process: Process, port: int, app: App, started: str) -> int:
    try:
        process.listen(port, server(app))
    except OSError as error:
        await process.err(f"listen: {error.strerror}\n")
        return 1
    await process.out(started)
    await process.signals("TERM", "INT").get()
    return 0
