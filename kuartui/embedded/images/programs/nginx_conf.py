"""nginx.conf: tokens, blocks, includes, and nginx' own complaints about what is wrong with them."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from msgspec import Struct, field

MAIN, EVENTS, HTTP, SERVER, LOCATION, UPSTREAM, IF, OTHER = (
    "main",
    "events",
    "http",
    "server",
    "location",
    "upstream",
    "if",
    "other",
)

BLOCKS = {
    "events": (MAIN,), "http": (MAIN,), "server": (HTTP, UPSTREAM), "location": (SERVER, LOCATION), "upstream": (HTTP,),
    "if": (SERVER, LOCATION), "map": (HTTP,), "geo": (HTTP,), "types": (HTTP, SERVER, LOCATION), "split_clients": (HTTP,),
    "limit_except": (LOCATION,), "stream": (MAIN,),
}  # fmt: skip
ANYWHERE = (HTTP, SERVER, LOCATION, IF)
DIRECTIVES: dict[str, tuple[tuple[str, ...], int, int]] = {  # contexts, least and most arguments
    "user": ((MAIN,), 1, 2), "worker_processes": ((MAIN,), 1, 1), "pid": ((MAIN,), 1, 1), "daemon": ((MAIN,), 1, 1),
    "error_log": ((MAIN, *ANYWHERE), 1, 2), "worker_connections": ((EVENTS,), 1, 1), "multi_accept": ((EVENTS,), 1, 1),
    "use": ((EVENTS,), 1, 1), "include": ((MAIN, EVENTS, HTTP, SERVER, LOCATION, UPSTREAM, OTHER), 1, 1),
    "worker_rlimit_nofile": ((MAIN,), 1, 1), "master_process": ((MAIN,), 1, 1), "env": ((MAIN,), 1, 1),
    "load_module": ((MAIN,), 1, 1), "default_type": (ANYWHERE, 1, 1), "log_format": ((HTTP,), 2, 99),
    "access_log": (ANYWHERE, 1, 9), "listen": ((SERVER,), 1, 9), "server_name": ((SERVER,), 1, 99),
    "root": (ANYWHERE, 1, 1), "alias": ((LOCATION,), 1, 1), "index": (ANYWHERE, 1, 99), "try_files": ((SERVER, LOCATION), 2, 99),
    "return": ((SERVER, LOCATION, IF), 1, 2), "rewrite": ((SERVER, LOCATION, IF), 2, 3), "set": ((SERVER, LOCATION, IF), 2, 2),
    "proxy_pass": ((LOCATION, IF), 1, 1), "error_page": (ANYWHERE, 2, 99), "add_header": (ANYWHERE, 2, 3),
    "autoindex": (ANYWHERE, 1, 1), "deny": (ANYWHERE, 1, 1), "allow": (ANYWHERE, 1, 1), "internal": ((LOCATION,), 0, 0),
    "stub_status": ((SERVER, LOCATION), 0, 1), "resolver": ((HTTP, SERVER, LOCATION), 1, 9), "break": ((SERVER, LOCATION, IF), 0, 0),
    "auth_basic": (ANYWHERE, 1, 1), "auth_basic_user_file": (ANYWHERE, 1, 1), "server_tokens": (ANYWHERE, 1, 1),
    "ssl_certificate": ((HTTP, SERVER), 1, 1), "ssl_certificate_key": ((HTTP, SERVER), 1, 1), "ssl": ((HTTP, SERVER), 1, 1),
    "sub_filter": (ANYWHERE, 2, 2), "sub_filter_once": (ANYWHERE, 1, 1), "expires": (ANYWHERE, 1, 2),
    "least_conn": ((UPSTREAM,), 0, 0), "ip_hash": ((UPSTREAM,), 0, 0), "keepalive": ((UPSTREAM,), 1, 1), "zone": ((UPSTREAM,), 1, 2),
    "hash": ((UPSTREAM,), 1, 2), "echo": ((LOCATION,), 1, 99),
}  # fmt: skip
PREFIXES = (
    "proxy_", "ssl_", "gzip", "client_", "keepalive_", "send_", "tcp_", "fastcgi_", "uwsgi_", "limit_", "open_file_", "sendfile",
    "real_ip_", "set_real_ip_from", "types_hash", "server_names_hash", "variables_hash", "map_hash", "large_client", "reset_",
    "underscores_", "charset", "if_modified_since", "etag", "http2", "mirror", "log_not_found", "lingering_", "directio", "aio",
    "resolver_timeout", "port_in_redirect", "absolute_redirect", "chunked_", "merge_slashes", "max_ranges", "satisfy", "random_",
    "worker_", "accept_mutex", "uninitialized_", "rewrite_log", "ignore_invalid", "recursive_", "msie_", "connection_pool",
)  # fmt: skip
"""Families of directives that change nothing here but are right to use."""


class Source(Protocol):
    """Where configuration files come from."""

    def read(self, path: str) -> bytes: ...

    def glob(self, pattern: str) -> list[str]: ...


class ConfigError(Exception):
    """`[emerg] …`"""


class Directive(Struct):
    """A directive, with its block if it has one."""

    name: str
    args: list[str]
    file: str
    line: int
    block: list[Directive] | None = None

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.file}:{self.line}"


class Block(Struct):
    """A parsed configuration level, easy to ask."""

    directives: list[Directive] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Directive]:
        """Directives of a name, in order."""
        return (directive for directive in self.directives if directive.name == name)

    def last(self, name: str) -> Directive | None:
        """The last directive of a name."""
        found = list(self.all(name))
        return found[-1] if found else None


Token = tuple[str, int, bool]  # text, line, quoted
ESCAPES = {'"': '"', "'": "'", "\\": "\\", "t": "\t", "r": "\r", "n": "\n"}


@lru_cache(64)  # of many servers with the same files; mime.types is long
def _tokens(text: str) -> tuple[Token, ...]:
    return tuple(_split(text))


def _split(text: str) -> Iterator[Token]:
    at, line, size = 0, 1, len(text)
    while at < size:
        char = text[at]
        if char == "\n":
            line += 1
            at += 1
        elif char.isspace():
            at += 1
        elif char == "#":
            while at < size and text[at] != "\n":
                at += 1
        elif char in "{};":
            yield char, line, False
            at += 1
        elif char in "\"'":
            start, word = line, ""
            at += 1
            while at < size and text[at] != char:
                if text[at] == "\\" and at + 1 < size and text[at + 1] in ESCAPES:
                    word += ESCAPES[text[at + 1]]
                    at += 2
                    continue
                line += text[at] == "\n"
                word += text[at]
                at += 1
            at += 1
            yield word, start, True
        else:
            word = ""
            while at < size and not text[at].isspace() and text[at] != ";":
                if text[at] == "{":
                    if not word.endswith("$"):
                        break
                    end = text.find("}", at) + 1 or size
                    word, at = word + text[at:end], end
                    continue
                word += text[at]
                at += 1
            yield word, line, False
    yield "", line, False


def parse(path: str, source: Source, context: str = MAIN) -> list[Directive]:
    """Parse a file with all it includes. Raises ConfigError."""
    try:
        text = source.read(path).decode(errors="replace")
    except OSError as error:
        raise ConfigError(f'open() "{path}" failed ({error.errno}: {error.strerror})') from None
    tokens = _tokens(text)
    directives, at = _level(tokens, 0, path, source, context, top=True)
    if tokens[at][0] == "}":
        raise ConfigError(f'unexpected "}}" in {path}:{tokens[at][1]}')
    return directives


def _level(
    tokens: tuple[Token, ...], at: int, path: str, source: Source, context: str, *, top: bool
) -> tuple[list[Directive], int]:
    found: list[Directive] = []
    while True:
        word, line, quoted = tokens[at]
        if not word and at == len(tokens) - 1:
            if not top:
                raise ConfigError(f'unexpected end of file, expecting "}}" in {path}:{line}')
            return found, at
        if word == "}" and not quoted:
            return found, at
        if word in ("{", ";") and not quoted:
            raise ConfigError(f'unexpected "{word}" in {path}:{line}')
        directive = Directive(word, [], path, line)
        at += 1
        while tokens[at][0] not in ("{", ";", "}") or tokens[at][2]:
            if at == len(tokens) - 1:
                raise ConfigError(f'unexpected end of file, expecting ";" or "}}" in {path}:{tokens[at][1]}')
            directive.args.append(tokens[at][0])
            at += 1
        end, directive.line, _ = tokens[at]
        if end == "}":
            raise ConfigError(f'unexpected "}}" in {path}:{tokens[at][1]}')
        if end == "{":
            inner = _inner_context(directive, context)
            directive.block, at = _level(tokens, at + 1, path, source, inner, top=False)
        elif context != OTHER:
            _check(directive, context)
        at += 1
        if directive.name == "include" and directive.block is None:
            found += _included(directive, source, context)
        else:
            found.append(directive)


def _inner_context(directive: Directive, context: str) -> str:
    name = directive.name
    if context == OTHER:
        return OTHER
    if name not in BLOCKS:
        if name in DIRECTIVES:
            raise ConfigError(f'directive "{name}" has no opening "{{" in {directive.place}')
        raise ConfigError(f'unknown directive "{name}" in {directive.place}')
    if context not in BLOCKS[name]:
        raise ConfigError(f'"{name}" directive is not allowed here in {directive.place}')
    return name if name in (EVENTS, HTTP, SERVER, LOCATION, UPSTREAM, IF) else OTHER


def _check(directive: Directive, context: str) -> None:
    name, count = directive.name, len(directive.args)
    if name in BLOCKS and not (name == "server" and context == UPSTREAM):
        if context not in BLOCKS[name]:
            raise ConfigError(f'"{name}" directive is not allowed here in {directive.place}')
        raise ConfigError(f'directive "{name}" has no opening "{{" in {directive.place}')
    if name == "server":
        return
    known = DIRECTIVES.get(name)
    if known is None:
        if name.startswith(PREFIXES):
            return
        raise ConfigError(f'unknown directive "{name}" in {directive.place}')
    contexts, least, most = known
    if context not in contexts:
        raise ConfigError(f'"{name}" directive is not allowed here in {directive.place}')
    if not least <= count <= most:
        raise ConfigError(f'invalid number of arguments in "{name}" directive in {directive.place}')


def _included(directive: Directive, source: Source, context: str) -> list[Directive]:
    pattern = posixpath.join("/etc/nginx", directive.args[0])
    if any(char in pattern for char in "*?["):
        return [found for path in source.glob(pattern) for found in parse(path, source, context)]
    try:
        return parse(pattern, source, context)
    except ConfigError as error:
        if str(error).startswith(f'open() "{pattern}"'):
            raise ConfigError(f"{error} in {directive.place}") from None
        raise


def matches_glob(path: str, pattern: str) -> bool:
    """glob(3): a `*` doesn't cross directories."""
    return posixpath.dirname(path) == posixpath.dirname(pattern) and fnmatch.fnmatchcase(
        posixpath.basename(path), posixpath.basename(pattern)
    )
