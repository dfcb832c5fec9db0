"""Ghost, the blog of the book's chapter on real applications: where its configuration comes from, what it needs to boot.

After the official image (docker-entrypoint.sh, Ghost 5's config loader): settings come from the environment
(`database__connection__host`), then from config.NODE_ENV.json; production wants MySQL, development a SQLite file below
the content directory. config.js is read by Ghost 0.x alone.
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any

from kuartui.embedded.images.programs.databases import chown_tree
from kuartui.embedded.images.programs.mysql_login import LoginFailed, log_in
from kuartui.embedded.network.http import Request, Response, reply, server
from kuartui.embedded.node.runtime.files import User
from kuartui.embedded.node.runtime.process import Process

INSTALL = "/var/lib/ghost"
INDEX = "current/index.js"
MEMORY = 150 << 20
MISSING = """node:internal/modules/cjs/loader:1210
  throw err;
  ^

Error: Cannot find module '{path}'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1207:15)
    at Module._load (node:internal/modules/cjs/loader:1038:27)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
    at node:internal/main/run_main_module:28:49 {{
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}}

Node.js v20.19.5
"""
PAGE = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Ghost</title></head><body><h1>Ghost</h1><p>Thoughts, stories and ideas.</p></body></html>\n"  # fmt: skip


class BadConfig(Exception):
    """A configuration that Ghost cannot read; str() is what it prints."""


async def entrypoint(process: Process) -> int:
    """docker-entrypoint.sh: node as user node, who gets the content directory with the themes of the image."""
    argv = process.argv[1:]
    if argv[:1] == ["node"] and process.user.uid == 0:
        content = process.env.get("GHOST_CONTENT", f"{INSTALL}/content")
        if not process.files.is_dir(content):
            await process.err(f"find: {content}: No such file or directory\n")
            return 1
        complaint = chown_tree(process, content, 1000, 1000)
        if complaint:
            await process.err(f"chown: {complaint}\n")
            return 1
        process.user = User(1000, 1000, (1000,), "node", "/home/node")
        for name in ("data", "images", "logs", "settings", "themes"):
            if not process.files.exists(f"{content}/{name}"):
                process.files.mkdir(f"{content}/{name}", process.user)
    program, process.argv = process.container.find(argv, process)
    return await program(process)


def node(version: str):  # type: ignore[no-untyped-def]
    """The program `node FILE` of a Ghost image."""

    async def run(process: Process) -> int:
        words = [word for word in process.argv[1:] if not word.startswith("-")]
        if not words:
            await process.out("v20.19.5\n" if "--version" in process.argv or "-v" in process.argv else "")
            return 0
        path = process.path(words[0])
        if not process.files.is_file(path):
            await process.err(MISSING.format(path=path))
            return 1
        if process.files.real(path) != f"{INSTALL}/versions/{version}/index.js":
            await process.err(f"{path}: kuartui runs no JavaScript but Ghost's own\n")
            return 1
        return await Ghost(process, version).run()

    return run


class Ghost:
    """One blog."""

    def __init__(self, process: Process, version: str) -> None:
        self._process = process
        self._booted = False
        self._legacy = version.startswith("0.")
        self._mode = process.env.get("NODE_ENV", "production")
        self._content = process.env.get("GHOST_CONTENT", f"{INSTALL}/content")

    async def _log(self, level: str, text: str) -> None:
        line = f"[{self._process.clock.now():%Y-%m-%d %H:%M:%S}] {level} {text}\n"
        await (self._process.err if level == "ERROR" else self._process.out)(line)

    def settings(self) -> dict[str, str]:
        """Flat settings, `database.connection.host`. Raises BadConfig."""
        values = {"server.port": "2368", "url": "http://localhost:2368", "paths.contentPath": self._content}
        if self._legacy:
            values |= self._config_js()
        else:
            name = posixpath.join(INSTALL, f"config.{self._mode}.json")
            if self._process.files.exists(name):
                try:
                    values |= _flat(json.loads(self._process.read(name)))
                except (OSError, ValueError) as error:
                    raise BadConfig(f"Error parsing your configuration file: [{name}]: {error}") from None
        values |= {key.replace("__", "."): text for key, text in self._process.env.items() if re.match("[a-z]+__", key)}
        if "url" in self._process.env:
            values["url"] = self._process.env["url"]
        return values

    def _config_js(self) -> dict[str, str]:
        name = f"{INSTALL}/config.js"
        if not self._process.files.exists(name):
            return {"database.client": "sqlite3"}
        text = self._process.read(name).decode(errors="replace")
        start = re.search(rf"\b{re.escape(self._mode)}\s*:\s*\{{", text)
        if start is None:
            raise BadConfig(f"Cannot find the configuration for the current NODE_ENV: {self._mode}")
        values = {}
        for ours, theirs in (("url", "url"), ("database.client", "client"), ("database.connection.host", "host"),
                             ("database.connection.user", "user"), ("database.connection.password", "password"),
                             ("database.connection.database", "database"), ("server.port", "port")):  # fmt: skip
            section = text[start.end() :]
            if theirs == "port":
                section = section[max(section.find("server"), 0) :]
            elif ours.startswith("database"):
                section = section[max(section.find("database"), 0) : section.find("server")]
            found = re.search(rf"\b{theirs}\s*:\s*['\"]?([^'\",\s{{}}]+)", section)
            if found:
                values[ours] = found[1]
        return values

    async def run(self) -> int:
        """Boot, serve, stop when told to."""
        process = self._process
        await self._log("INFO", f"Ghost is running in {self._mode}...")
        try:
            settings = self.settings()
        except BadConfig as error:
            await process.err(f"{error}\n")
            return 1
        url, port = settings["url"], int(settings["server.port"])
        process.memory = MEMORY
        try:
            process.listen(port, server(self._serve))
        except OSError as error:
            await self._log("ERROR", f"(EADDRINUSE) Cannot start Ghost: port {port}: {error.strerror}")
            return 1
        await self._log("INFO", f"Your site is now available on {url.rstrip('/')}/")
        await self._log("INFO", "Ctrl+C to shut down")
        await process.compute(1.0)
        trouble = await self._database(settings)
        if trouble:
            await self._log("ERROR", trouble)
            await self._log("WARN", "Ghost is shutting down")
            return 2
        await self._log("INFO", "Database is in a ready state.")
        await self._log("INFO", "Ghost booted in 2.5s")
        self._booted = True
        await process.signals("TERM", "INT").get()
        await self._log("WARN", "Ghost is shutting down")
        await self._log("WARN", "Ghost has shut down")
        await self._log("WARN", "Your site is now offline")
        return 0

    async def _serve(self, request: Request) -> Response:
        if not self._booted:
            return reply(503, "We'll be right back.\n")
        known = request.path in ("/", "/ghost/", "/rss/", "/sitemap.xml") or request.path.startswith("/about/")
        return reply(200, PAGE, "text/html; charset=utf-8") if known else reply(404, "Page not found\n")

    async def _database(self, settings: dict[str, str]) -> str:
        """Open the database; what Ghost says if it cannot."""
        client = settings.get("database.client", "sqlite3" if self._mode == "development" else "mysql")
        if client == "sqlite3":
            default = posixpath.join(
                settings["paths.contentPath"], f"data/ghost{'-dev' * (self._mode != 'production')}.db"
            )
            path = self._process.path(settings.get("database.connection.filename", default))
            try:
                self._process.files.write(path, b"SQLite format 3\0", self._process.user, append=True)
            except OSError:
                return f"SQLITE_CANTOPEN: unable to open database file\n\nFile: {path}\nError Code: SQLITE_CANTOPEN"
            return ""
        if not client.startswith("mysql"):
            return f"Knex: run\n$ npm install {client} --save\nCannot find module '{client}'"
        return await self._mysql(settings)

    async def _mysql(self, settings: dict[str, str]) -> str:
        host = settings.get("database.connection.host", "mysql")
        port = int(settings.get("database.connection.port", "3306"))
        user = settings.get("database.connection.user", "root")
        password = settings.get("database.connection.password", "")
        try:
            await log_in(self._process, host, port, user, password)
        except LoginFailed as failure:
            unknown = "" if failure.code.startswith("ER_") else '"Unknown database error"\n\n'
            return f"{failure.message}\n\n{unknown}Error Code: {failure.code}"
        return ""


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {prefix: str(value)}
    return {k: v for name, inner in value.items() for k, v in _flat(inner, f"{prefix}.{name}".lstrip(".")).items()}
