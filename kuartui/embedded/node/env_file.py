"""Files of variables that a container leaves for others of its pod: `fileKeyRef`.

A subset of the shell's syntax, after kubernetes/pkg/kubelet/util/env (ParseEnv).
"""

from __future__ import annotations


class BadEnvFile(Exception):
    """A file is no list of variables; the message says in which line."""


def value_in(text: str, key: str) -> str:
    """The value of a variable, "" if the file does not set it; what follows it is not looked at. Raises BadEnvFile."""
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    at = 0
    while at < len(lines):
        line = lines[at].lstrip(" \t")
        at += 1
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise _bad(at, "missing '='")
        if not name.rstrip(" \t"):
            raise _bad(at, "empty variable name")
        if name != name.rstrip(" \t"):
            raise _bad(at, "whitespace before '=' is not allowed")
        if value != value.lstrip(" \t"):  # as to a shell, where what follows would be a command
            if name == key:
                return ""
            continue
        if not value.startswith("'"):
            raise _bad(at, "value must be enclosed in single quotes")
        begin, found, rest = at, [], value[1:]
        while "'" not in rest:
            found.append(rest)
            if at == len(lines):
                raise BadEnvFile(f"invalid environment variable format starting at line {begin}: unclosed single quote")
            rest = lines[at]
            at += 1
        last, _, after = rest.partition("'")
        after = after.lstrip(" \t")
        if after and not after.startswith("#"):
            raise _bad(at, "unexpected content after closing quote")
        if name == key:
            return "\n".join([*found, last])
    return ""


def _bad(line: int, why: str) -> BadEnvFile:
    return BadEnvFile(f"invalid environment variable format at line {line}: {why}")
