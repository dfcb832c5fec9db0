"""mysql, the client: statements from -e, from its input, or typed at its prompt."""

from __future__ import annotations

import json
import re
from typing import Any

from kuartui.embedded.images.programs.mysql_data import statements
from kuartui.embedded.network import NameNotResolved, Stream
from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]
WELCOME = """Welcome to the MySQL monitor.  Commands end with ; or \\g.
Your MySQL connection id is 8
Server version: {version} MySQL Community Server - GPL

Type 'help;' or '\\h' for help. Type '\\c' to clear the current input statement.

"""
USE = re.compile(r"(?:^|;)\s*use\s+\S+$", re.IGNORECASE)  # the one command that needs no semicolon
BYE = ("exit", "quit", "\\q")


class Options:
    """host, port, user, password, statements and database of a command line."""

    def __init__(self, process: Process) -> None:
        self.host, self.port = "localhost", 3306
        self.user = process.user.name or "root"
        self.password = process.env.get("MYSQL_PWD", "")
        self.statements: list[str] = []
        self.database = ""
        self.table = process.terminal is not None
        words = process.argv[1:]
        while words:
            word = words.pop(0)
            if word.startswith(("--host=", "-h")):
                self.host = word.partition("=")[2] or word[2:] or (words.pop(0) if words else self.host)
            elif word.startswith(("--port=", "-P")):
                self.port = int(word.partition("=")[2] or word[2:] or (words.pop(0) if words else self.port))
            elif word.startswith(("--user=", "-u")):
                self.user = word.partition("=")[2] or word[2:] or (words.pop(0) if words else self.user)
            elif word.startswith("--password=") or (word.startswith("-p") and word[2:]):
                self.password = word.partition("=")[2] or word[2:]
            elif word.startswith(("--execute=", "-e")):
                self.statements.append(word.partition("=")[2] if word.startswith("--") else word[2:] or words.pop(0))
            elif word.startswith("-D"):
                self.database = word[2:] or (words.pop(0) if words else "")
            elif word in ("-t", "--table"):
                self.table = True
            elif not word.startswith("-"):
                self.database = word


class LoginError(Exception):
    """Why there is no session, as the client says it."""


async def login(process: Process, options: Options) -> tuple[Stream, str]:
    """A session with a server, and the server's version. Raises LoginError."""
    host, port = options.host, options.port
    try:
        stream = await process.connect(host, port, seconds=10)
    except NameNotResolved:
        raise LoginError(f"ERROR 2005 (HY000): Unknown MySQL server host '{host}' (-2)") from None
    except OSError as error:
        where = "local MySQL server through socket '/var/run/mysqld/mysqld.sock'"
        if host != "localhost":
            where = f"MySQL server on '{host}:{port}'"
        raise LoginError(f"ERROR 2002 (HY000): Can't connect to {where} ({error.errno or 2})") from None
    version = (await stream.read_until(b"\n")).decode(errors="replace").strip()
    await stream.write(f"AUTH {options.user} {options.password}\n".encode())
    answer = (await stream.read_until(b"\n")).decode(errors="replace").strip()
    if answer != "OK":
        stream.close()
        raise LoginError(
            answer or "ERROR 2013 (HY000): Lost connection to MySQL server at 'reading authorization packet'"
        )
    return stream, version


async def mysql_client(process: Process) -> int:
    """mysql [-h host] [-u user] [-pPASSWORD] [-e STATEMENTS] [DATABASE]."""
    options = Options(process)
    try:
        stream, version = await login(process, options)
    except LoginError as error:
        await process.err(f"{error}\n")
        return 1
    try:
        if options.database and await _run(process, stream, f"USE `{options.database}`", options, told=False):
            return 1
        if options.statements:
            return await _all(process, stream, " ; ".join(options.statements), options)
        if process.terminal is not None:
            return await _prompt(process, stream, version, options)
        text = b""
        while piece := await process.stdin.read():
            text += piece
        return await _all(process, stream, text.decode(errors="replace"), options)
    finally:
        stream.close()


async def _all(process: Process, stream: Stream, text: str, options: Options) -> int:
    for statement in statements(text):
        if statement.lower() not in BYE and await _run(process, stream, statement, options):
            return 1
    return 0


async def _prompt(process: Process, stream: Stream, version: str, options: Options) -> int:
    await process.out(WELCOME.format(version=version))
    typed, rest = "", b""
    await process.out("mysql> ")
    while chunk := await process.stdin.read():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in (line.decode(errors="replace").strip() for line in lines):
            if not typed and line.rstrip("; ").lower() in BYE:
                await process.out("Bye\n")
                return 0
            typed = f"{typed} {line}".strip()
            if line.endswith("\\c"):
                typed = ""
            elif typed.endswith((";", "\\g")) or USE.search(typed):
                for statement in statements(typed.removesuffix("\\g")):
                    await _run(process, stream, statement, options, typed=True)
                typed = ""
            await process.out("    -> " if typed else "mysql> ")
    await process.out("Bye\n")
    return 0


async def _run(
    process: Process, stream: Stream, statement: str, options: Options, *, typed: bool = False, told: bool = True
) -> bool:
    """Whether it failed."""
    await stream.write(json.dumps({"do": "execute", "statement": statement}).encode() + b"\n")
    line = await stream.read_until(b"\n", 1 << 24)
    if not line:
        await process.err("ERROR 2013 (HY000): Lost connection to MySQL server during query\n")
        return True
    answer: Obj = json.loads(line)
    if "error" in answer:
        code, state, text = answer["error"]
        await process.err(f"ERROR {code} ({state}){'' if typed or not told else ' at line 1'}: {text}\n")
        return True
    if "rows" in answer:
        await process.out(_table(answer) if options.table else _lines(answer))
        if typed:
            number = len(answer["rows"])
            await process.out(
                f"{number} row{'' if number == 1 else 's'} in set (0.00 sec)\n\n"
                if number
                else "Empty set (0.00 sec)\n\n"
            )
    elif typed and "database" in answer:
        await process.out("Database changed\n")
    elif typed:
        number = answer["affected"]
        await process.out(f"Query OK, {number} row{'' if number == 1 else 's'} affected (0.01 sec)\n\n")
    return False


def _lines(answer: Obj) -> str:
    if not answer["rows"]:
        return ""
    return "".join("\t".join(_shown(cell) for cell in row) + "\n" for row in [answer["columns"], *answer["rows"]])


def _table(answer: Obj) -> str:
    if not answer["rows"]:
        return ""
    columns: list[str] = answer["columns"]
    cells = [[_shown(cell) for cell in row] for row in answer["rows"]]
    widths = [max(len(row[at]) for row in [columns, *cells]) for at in range(len(columns))]
    numbers = [all(isinstance(row[at], int | float) for row in answer["rows"]) for at in range(len(columns))]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+\n"
    head = "|" + "|".join(f" {name:<{width}} " for name, width in zip(columns, widths, strict=True)) + "|\n"
    text = line + head + line
    for row in cells:
        shown = [
            f" {cell:>{width}} " if number else f" {cell:<{width}} "
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ]
        text += "|" + "|".join(shown) + "|\n"
    return text + line


def _shown(cell: object) -> str:
    return "NULL" if cell is None else str(cell)
