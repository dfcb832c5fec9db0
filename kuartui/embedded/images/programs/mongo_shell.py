"""mongosh and the older mongo: the administrative calls that manifests and the book's scripts make."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from kuartui.embedded.images.programs.mongo_replicas import PORT, call
from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]

VALUE = frozenset(["--host", "--port", "--eval", "-u", "--username", "-p", "--password", "--authenticationDatabase"])
CALLS = {
    "db.serverstatus": "serverStatus", "db.hello": "hello", "db.ismaster": "hello", "db.runcommand": "", "db.admincommand": "",
    "rs.status": "status", "rs.conf": "conf", "rs.config": "conf", "rs.initiate": "initiate", "rs.add": "add",
}  # fmt: skip


class ShellError(Exception):
    """What the shell cannot run."""


async def mongosh(process: Process) -> int:
    """mongosh [--host HOST] [--eval CODE]; without --eval it reads statements from its input."""
    options, rest = _parse(process.argv[1:])
    host = options.get("--host") or next((word for word in rest if not word.endswith(".js")), "127.0.0.1")
    host = host.removeprefix("mongodb://").rpartition("@")[2].partition("/")[0]
    if ":" not in host:
        host += f":{options.get('--port', PORT)}"
    try:
        await call(process, host, {"do": "ping"})
    except NameNotResolved:
        await process.err(f"MongoNetworkError: getaddrinfo ENOTFOUND {host.partition(':')[0]}\n")
        return 1
    except OSError as error:
        why = "ECONNREFUSED" if isinstance(error, ConnectionRefusedError) else "ETIMEDOUT"
        await process.err(f"MongoNetworkError: connect {why} {host}\n")
        return 1
    if "--eval" in options:
        return await _run(process, host, options["--eval"])
    code = 0
    text = b""
    while piece := await process.stdin.read():
        text += piece
    for line in text.decode(errors="replace").splitlines():
        code = await _run(process, host, line) or code
    return code


def _parse(words: list[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    rest: list[str] = []
    words = list(words)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in VALUE:
            options[name] = value if equals else words.pop(0) if words else ""
        elif not name.startswith("-"):
            rest.append(name + equals + value)
    return options, rest


async def _run(process: Process, host: str, code: str) -> int:
    for statement in filter(None, (part.strip() for part in code.split(";"))):
        try:
            answer = await _call(process, host, statement)
        except ShellError as error:
            await process.err(f"{error}\n")
            return 1
        if isinstance(answer, dict) and not answer.get("ok", 1) and not statement.startswith("printjson"):
            await process.err(f"MongoServerError[{answer['codeName']}]: {answer['errmsg']}\n")
            return 1
        await process.out((answer if isinstance(answer, str) else _shown(answer)) + "\n")
    return 0


async def _call(process: Process, host: str, statement: str) -> Obj | str:
    statement = re.sub(r"^(?:printjson|print|JSON\.stringify)\((.*)\)$", r"\1", statement, flags=re.DOTALL).strip()
    found = re.fullmatch(r"([\w.]+)\((.*)\)((?:\.\w+)*)", statement, re.DOTALL)
    name = found[1].lower() if found else ""
    collection = re.fullmatch(r"db\.(\w+)\.(insert|insertone|find|findone|countdocuments|count)", name)
    if found is not None and collection:
        written = found[1].split(".")[1]
        return await _documents(process, host, written, collection[2], _literal(found[2]) or {})
    if found is None or name not in CALLS:
        head = re.split(r"[.(]", statement)[0]
        raise ShellError(
            f"ReferenceError: {head} is not defined"
            if head not in ("db", "rs")
            else f"TypeError: {statement} is not supported"
        )
    argument = _literal(found[2])
    command: Obj = {"do": CALLS[name]}
    if not command["do"]:
        first = next(iter(argument)) if isinstance(argument, dict) and argument else argument
        command["do"] = {"isMaster": "hello", "replSetGetStatus": "status"}.get(str(first), str(first))
    elif name == "rs.initiate":
        command["config"] = argument
    elif name == "rs.add":
        command["host"] = argument["host"] if isinstance(argument, dict) else argument
    try:
        answer: Any = await call(process, host, command)
    except (OSError, NameNotResolved) as error:
        raise ShellError(f"MongoNetworkError: {error}") from None
    for field in filter(None, found[3].split(".")):
        answer = answer.get(field) if isinstance(answer, dict) else None
    return answer if isinstance(answer, dict) else json.dumps(answer).strip('"')


async def _documents(process: Process, host: str, collection: str, method: str, argument: Obj) -> Obj | str:
    """db.COLLECTION.METHOD(argument)."""
    if method.startswith("insert"):
        return await call(process, host, {"do": "insert", "collection": collection, "document": argument})
    answer = await call(process, host, {"do": "find", "collection": collection, "query": argument})
    documents = answer["documents"]
    if method.startswith("count"):
        return str(len(documents))
    if method == "findone":
        return dict(documents[0]) if documents else "null"
    return "\n".join(json.dumps(one) for one in documents)


def _literal(text: str) -> Any:
    """A JavaScript literal of objects, lists, strings and numbers. Raises ShellError."""
    pieces = re.split(r"('[^']*'|\"[^\"]*\")", text)
    spaced = "".join(piece if index % 2 else piece.replace(":", ": ") for index, piece in enumerate(pieces))
    try:
        return yaml.safe_load(spaced) if text.strip() else None
    except yaml.YAMLError:
        raise ShellError(f"SyntaxError: Unexpected token in {text.strip()}") from None


def _shown(answer: Any) -> str:
    if answer == {"ok": 1}:
        return "{ ok: 1 }"
    return re.sub(r'^(\s*)"(\w+)": ', r"\1\2: ", json.dumps(answer, indent=2), flags=re.MULTILINE)
