"""How shells complain: bashkit speaks like bash with GNU tools, images have busybox, Debian or bash.

Each shell has its own words for the same failures, players search for them, and Kubernetes' documentation quotes them.
"""

from __future__ import annotations

import re

from msgspec import Struct

from kuartui.embedded.node.runtime.files import Files

PREFIX = re.compile(r"^(?P<name>bash|sh|\S*/\S+): line (?P<line>\d+): (?P<rest>.*)$", re.DOTALL)
READ_ONLY = "filesystem is read-only"

BUSYBOX = (
    (r": io error: file too large.*$", ": File too large"),
    (r"^find: '(.*?)': (.*)$", r"find: \1: \2"),
    (r"^du: cannot access '(.*?)': (.*)$", r"du: \1: \2"),
    (r"^sed: can't read (.*?): (.*)$", r"sed: \1: \2"),
    (r"^dd: failed to open '(.*?)': (.*)$", r"dd: can't open '\1': \2"),
    (r"^((?:md5|sha\d+)sum|base64): (.*?): (No such file or directory)$", r"\1: can't open '\2': \3"),
    (r"^touch: cannot touch '(.*?)': (.*)$", r"touch: \1: \2"),
    (r"^(rm|rmdir): (?:cannot remove|failed to remove) '(.*?)': (?:io error: )?(.*)$", r"\1: can't remove '\2': \3"),
    (r"^mkdir: cannot create directory '(.*?)': (.*)$", r"mkdir: can't create directory '\1': \2"),
    (r"^cp: cannot (?:copy|stat) '(.*?)': Permission denied$", r"cp: can't open '\1': Permission denied"),
    (r"^cp: cannot (?:copy|stat) '(.*?)': (.*)$", r"cp: can't stat '\1': \2"),
    (r"^mv: cannot (?:move|stat) '(.*?)': (?:io error: )?(.*)$", r"mv: can't rename '\1': \2"),
    (r"^cat: (.*?): (No such file or directory|Permission denied)$", r"cat: can't open '\1': \2"),
    (r"^(chmod|chown): cannot (?:access|change) '(.*?)': (.*)$", r"\1: \2: \3"),
    (r"^real\s+(\d+)m(\d+\.\d\d)\d*s$", r"real\t\1m \2s"),
    (r"^(user|sys)\s+unavailable$", r"\1\t0m 0.00s"),
    (r"^(head|tail|wc|sort): cannot (?:open|read) '?(.*?)'?(?: for reading)?: (.*)$", r"\1: \2: \3"),
)
GNU = (
    (r": io error: file too large.*$", ": File too large"),
    (r"^head: (.*?): (No such file or directory)$", r"head: cannot open '\1' for reading: \2"),
    (r"^sort: (.*?): (No such file or directory)$", r"sort: cannot read: \1: \2"),
    (r"^(user|sys)\s+unavailable$", r"\1\t0m0.000s"),
    (r"^cp: cannot (?:copy|stat) '(.*?)': Permission denied$", r"cp: cannot open '\1' for reading: Permission denied"),
    (r"^cp: cannot copy '(.*?)': (.*)$", r"cp: cannot stat '\1': \2"),
    (r"^mv: cannot move '(.*?)': (?:io error: )?(.*)$", r"mv: cannot stat '\1': \2"),
    (r"^rm: cannot remove '(.*?)': io error: (.*)$", r"rm: cannot remove '\1': \2"),
)


class Voice(Struct, frozen=True):
    """A shell's way of speaking. `name` is $0, `script` whether it runs a file rather than -c or a prompt, `typed` whether
    it is at a terminal, where bash counts no lines."""

    flavour: str
    name: str
    script: bool
    files: Files
    text: str = ""  # the script, to tell `< file` from `> file`
    offset: int = 0  # lines that we put before the script
    typed: bool = False

    def error(self, line: str) -> str:
        """One line of stderr, reworded."""
        found = PREFIX.match(line)
        if found:
            return self._shell(int(found["line"]) - self.offset, found["rest"])
        line = self._permission(line).replace(": io error: not found", ": No such file or directory")
        line = line.replace(": io error: Permission denied", ": Permission denied")
        line = line.replace(": io error: file not found", ": No such file or directory")
        for pattern, replacement in BUSYBOX if self.flavour == "ash" else GNU:
            line, changed = re.subn(pattern, replacement, line)
            if changed:
                break
        return line

    def syntax(self, message: str) -> str:
        """A parse error of bashkit, as the shell would say it (exit code 2)."""
        found = re.match(r"parse error at line (\d+), column \d+: (.*)", message, re.DOTALL)
        line, what = (int(found[1]) - self.offset, found[2]) if found else (1, message)
        token = re.search(r"unexpected token `(.*)'", what)
        quote = re.search(r"matching `(.)'", what)
        if self.flavour == "bash":
            where = f"{self.name}: " if self.script else f"{self.name}: -c: "
            said = what.removeprefix("syntax error: ") if quote else what
            if self.typed:
                return f"{self.name}: {said}"
            return f"{where}line {line}: {said}"
        if self.flavour == "dash":
            said = (
                f'"{token[1]}" unexpected'
                if token
                else "Unterminated quoted string"
                if quote
                else "end of file unexpected"
            )
            return f"{self._where(line, always=True)}Syntax error: {said}"
        said = (
            f'unexpected "{token[1]}"' if token else "unterminated quoted string" if quote else "unexpected end of file"
        )
        return f"{self._where(line)}syntax error: {said}"

    def unexpected(self, line: int, token: str) -> str:
        """What ash and dash say where they stumble over `<<<` or the parenthesis of an array."""
        what = "redirection" if token.startswith("<") else f'"{token}"'
        if self.flavour == "dash":
            return f"{self._where(line)}Syntax error: {what} unexpected"
        return f"{self._where(line)}syntax error: unexpected {what}"

    def not_found(self, name: str, line: int = 1) -> str:
        """command not found."""
        said = "command not found" if self.flavour == "bash" else "not found"
        return f"{self._where(line, always=self.flavour != 'ash')}{name}: {said}"

    def _shell(self, line: int, rest: str) -> str:
        where = self._where(line, always=self.flavour != "ash")
        if ": command not found" in rest:
            return self.not_found(rest.partition(": command not found")[0], line)
        if self.flavour == "bash":
            return where + self._permission(rest)
        posix = "can't" if self.flavour == "ash" else "cannot"
        if rest.endswith(READ_ONLY):
            path = rest.removesuffix(": " + READ_ONLY)
            return f"{where}{posix} create {path}: {self._why(path)}"
        sourced = re.search(r"(?:^|[;&\s])(?:\.|source)\s+(\S+)", self.text)
        if sourced and rest == f"{sourced[1]}: No such file or directory":
            if self.flavour == "ash":
                return f"{where}.: can't open '{sourced[1]}': No such file or directory"
            return f"{where}.: cannot open {sourced[1]}: No such file"
        change = re.match(r"cd: (.*): (.*)$", rest)
        if change:
            reason = f": {change[2]}" if self.flavour == "ash" else ""
            return f"{where}cd: can't cd to {change[1]}{reason}"
        missing = re.match(r"(\S+): No such file or directory$", rest)
        if missing:
            return where + self._missing(missing[1], posix)
        if rest.endswith(": unbound variable"):
            return where + rest.replace("unbound variable", "parameter not set")
        if "division by 0" in rest:
            return where + ("divide by zero" if self.flavour == "ash" else "arithmetic expression: division by zero")
        if rest.endswith(": Is a directory"):
            return where + rest.replace("Is a directory", "Permission denied")
        denied = re.match(r"(\S+): Permission denied$", rest)
        if denied:
            return where + self._denied(denied[1], posix)
        number = re.match(r"(?:\[|test): (\S+): integer expression expected$", rest)
        if number:
            return where + (f"{number[1]}: bad number" if posix == "can't" else f"[: Illegal number: {number[1]}")
        number = re.match(r"(exit|return|shift): (\S+): numeric argument required$", rest)
        if number:
            return f"{where}{number[1]}: Illegal number: {number[2]}"
        variable = re.match(r"(export|readonly): `([^=']*)(?:=.*)?': not a valid identifier$", rest)
        if variable:
            return f"{where}{variable[1]}: {variable[2]}: bad variable name"
        number = re.match(r"kill: (\S+): arguments must be process or job IDs$", rest)
        if number:
            return where + (
                f"invalid number '{number[1]}'" if posix == "can't" else f"kill: Illegal number: {number[1]}"
            )
        return where + rest

    def _denied(self, path: str, posix: str) -> str:
        escaped = re.escape(path)
        if re.search(rf"(?<!<)<\s*[\"']?{escaped}", self.text):
            return f"{posix} open {path}: Permission denied"
        written = re.search(rf">\s*[\"']?{escaped}", self.text)
        if not written and re.search(rf"(^|[\s;&|({{]){escaped}($|[\s;&|)])", self.text):
            return f"{path}: Permission denied"  # a command
        return f"{posix} create {path}: Permission denied"

    def _missing(self, path: str, posix: str) -> str:
        escaped = re.escape(path)
        if re.search(rf"<\s*[\"']?{escaped}", self.text):
            return f"{posix} open {path}: " + ("no such file" if self.flavour == "ash" else "No such file")
        if re.search(rf">>?\s*[\"']?{escaped}", self.text):
            reason = "nonexistent directory" if self.flavour == "ash" else "Directory nonexistent"
            return f"{posix} create {path}: {reason}"
        return f"{path}: not found"

    def _where(self, line: int, *, always: bool = False) -> str:
        if self.flavour == "dash":
            return f"{self.name}: {line}: "
        if self.flavour == "bash":
            return f"{self.name}: " if self.typed else f"{self.name}: line {line}: "
        return f"{self.name}: line {line}: " if self.script else f"{self.name}: "

    def _permission(self, line: str) -> str:
        if READ_ONLY not in line:
            return line
        path = re.search(r"'(.*?)'", line) or re.search(r"^(.*): filesystem", line)
        return line.replace("io error: ", "").replace(READ_ONLY, self._why(path[1] if path else "/"))

    def _why(self, path: str) -> str:
        """A read-only mount is either that, or our way to keep a user out of somebody else's directory."""
        try:
            mount, _ = self.files.mount_of(path if path.startswith("/") else "/")
        except OSError:
            return "Permission denied"
        return "Read-only file system" if mount.read_only or mount.volume.read_only else "Permission denied"
