"""What can be known of a script before it runs: the commands it names, its traps, what replaces it.

None of this has to be complete: it decides what gets registered up front and how signals are taken.
"""

from __future__ import annotations

import re
import shlex
from functools import cached_property

from msgspec import Struct

QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
WORD = re.compile(r"[A-Za-z0-9_.\-/\[]+")
OPAQUE = re.compile(r"\beval\b|\bsource\b|(^|[;\s])\.\s|(^|[;&|(]\s*|\bexec\s+)\$|\b(ba|a|da)?sh\b|\bxargs\b|-exec\b")
KILLS = re.compile(r"\bkill\s+(-\S+\s+|-s\s+\S+\s+)?(\d+|\$\((pidof|pgrep|cat)\b)")
KILLS_OWN = re.compile(KILLS.pattern + r"|\bkill\s+(-\S+\s+|-s\s+\S+\s+)?\$\$")
FOREVER = re.compile(r"^\s*while\s+(?:true|:|\[\s*1\s*\])\s*;?\s*do\s*(?:true|:)?\s*;?\s*done\s*$")
RESERVED = frozenset(["done", "fi", "esac", "}", ")", "do", "then", "else", "in"])


class Script(Struct, frozen=True, dict=True):
    """A shell script's text and what it shows."""

    text: str
    is_file: bool = False

    @cached_property
    def words(self) -> frozenset[str]:
        """Everything that could be a command's name."""
        return frozenset(WORD.findall(self.text))

    @property
    def shows_its_functions(self) -> bool:
        """Whether all functions that it may define are in its text."""
        return re.search(r"\beval\b|\bsource\b|(^|[;\s])\.\s", self.text) is None

    @cached_property
    def opaque(self) -> bool:
        """Whether it may run commands that its text doesn't name: computed names, other scripts, eval."""
        return OPAQUE.search(self.text) is not None

    def kills_by_number(self, *, first: bool) -> bool:
        """Whether `kill` is meant for processes of the container, not for the script's own jobs.

        `first`: the shell is the container's first process, which cannot kill itself as others can.
        """
        return (KILLS_OWN if first else KILLS).search(self.text) is not None

    @property
    def kills_by_name(self) -> bool:
        """Whether what `kill` is for stands in a variable."""
        return re.search(r"\bkill\s+(-\S+\s+|-s\s+\S+\s+)?\"?\$\{?[A-Za-z_]", self.text) is not None

    @property
    def reads_what_is_typed(self) -> bool:
        """Whether it is one command alone, of those that read what is typed until the end of that."""
        plain = UNREAD.sub("Q", self.text).strip()
        return HEARING.match(plain) is not None and re.search(r"^(ba)?sh\b|[;&|<\n]", plain) is None

    @property
    def waits(self) -> bool:
        """Whether it uses `wait`, which a signal interrupts, unlike a command in the foreground."""
        return re.search(r"(^|[;&\s])wait\b", self.text) is not None

    @property
    def spins(self) -> bool:
        """Whether it is the classic loop that only burns CPU."""
        return FOREVER.match(self.text) is not None

    def traps(self, signal: str) -> bool:
        """Whether it seems to trap a signal."""
        return re.search(rf"\btrap\b[^\n]*\b(SIG)?{signal}\b", self.text) is not None

    def becomes(self, flavour: str, *, from_flag: bool) -> frozenset[str]:
        """Names of commands that replace the shell: after `exec`, and with -c in ash and bash the very last one. For ash
        it is not the last one if a newline follows; dash (of Debian 12) never takes it for that."""
        names = set(re.findall(r"(?:^|[;&|\s({])exec\s+(?:-\w+\s+)*([^\s;&|<>]+)", self.text))
        takes_last = flavour == "bash" or (flavour == "ash" and not self.text.endswith("\n"))
        if from_flag and takes_last and "trap" not in self.text:
            last = re.split(r"[;\n]|&&|\|\|", QUOTED.sub("Q", self.text).strip().rstrip(";"))[-1].split()
            while last and re.match(r"\w+=", last[0]):
                last.pop(0)
            if last and last[0] not in RESERVED and "|" not in last and "&" not in last:
                names.add(last[0])
        return frozenset(names)


def quote(argument: str) -> str:
    """An argument for the shell; bytes as they are."""
    return "'" + argument.replace("'", "'\\''") + "'"


# Commands that bashkit brings and that are programs in reality: an image has them or not.
EXTERNAL = frozenset(
    """arch awk b2sum base32 base64 basename basenc bc bunzip2 busybox bzcat bzip2 cat chgrp chmod chown cksum clear cmp
    column comm cp csv curl cut date dd df diff dirname dotenv du egrep env envsubst expand expr factor fgrep file find
    flock fmt fold free gawk getconf glob grep groups gunzip gzip head hexdump hostid hostname http iconv id install
    join jq json less link ln locale log logname ls make man mawk md5sum mkdir mkfifo mktemp more mv nano nawk nice nl
    nohup nproc numfmt od openssl parallel paste patch pgrep pk pkill pr printenv ps readlink realpath retry rev rg rm
    rmdir sed semver seq sha1sum sha224sum sha256sum sha384sum sha512sum shasum shuf sleep sort split stat strings sudo
    sum sync tac tail tar tee template timeout tomlq touch tr tree truncate tsort tty uname unexpand uniq unlink unzip
    uptime users uuidgen verify vi watch wc wget which who whoami xargs xxd yes yq zip""".split()  # noqa: SIM905
)
# Those of them that never read standard input; sed, with -i.
DEAF = frozenset(
    [
        "basename",
        "chgrp",
        "chmod",
        "cp",
        "dirname",
        "du",
        "find",
        "link",
        "ln",
        "mkdir",
        "mkfifo",
        "mktemp",
        "mv",
        "readlink",
        "realpath",
        "rm",
        "rmdir",
        "seq",
        "stat",
        "sync",
        "truncate",
        "unlink",
    ]
)
# And those that read it only if they are given no files: how many words come before those, and the options with values.
READERS = {
    "awk": (1, "Fvf"), "cksum": (0, ""), "cmp": (0, ""), "column": (0, "cost"), "comm": (0, ""), "cut": (0, "bcdf"),
    "dd": (0, ""), "diff": (0, "CIU"), "expr": (0, ""), "fmt": (0, "w"), "fold": (0, "w"), "gunzip": (0, ""), "gzip": (0, ""),
    "hexdump": (0, "efns"), "join": (0, "12ajotev"), "jq": (1, "f"), "md5sum": (0, ""), "nl": (0, "bdfhilnsvw"),
    "od": (0, "AjNtw"), "paste": (0, "d"), "rev": (0, ""), "sed": (1, "ef"), "sha1sum": (0, ""), "sha256sum": (0, ""),
    "sha512sum": (0, ""), "sort": (0, "kotST"), "strings": (0, "n"), "tac": (0, "s"), "uniq": (0, "fsw"),
    "wc": (0, ""), "xxd": (0, "cglos"), "yes": (0, ""),
}  # fmt: skip
# What a shell has of itself, in every image.
BUILTINS = frozenset(
    """! . : [ [[ alias bg break builtin case cd command compgen continue coproc declare dirs disown echo else enable
    esac eval exec exit export false fc fg fi for function getopts hash help history if jobs kill let local mapfile
    popd printf pushd pwd read readarray readonly return select set shift shopt source test then time times trap true
    type typeset ulimit umask unalias unset until wait while { } sh bash ash dash __stdin __over __status""".split()  # noqa: SIM905
)


HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n.*?\n\t*\2(?=\n|$)", re.DOTALL)
UNREAD = re.compile(QUOTED.pattern + r"|(?<![^\s;&|(])#[^\n]*")  # quoted, or a comment
FOREIGN = re.compile(r"(?P<text><<<)|(?:^|[\s;&|])\w+\+?=(?P<array>\()", re.MULTILINE)
BRACES = re.compile(UNREAD.pattern + r"|(?<![$\\])(\{[\w+-]*(?:,|\.\.)[\w.,+-]*\})")

STARTS = r"(?:^|[;&({]|(?<!\\)\n|\|\||\b(?:then|do|else)\b)[ \t]*"  # what is before a command that is in no pipe
UNHEARING = re.compile(
    f"{UNREAD.pattern}|{STARTS}(?P<deaf>"
    + "|".join(
        sorted(DEAF | {"chown", "date", "df", "hostname", "id", "ls", "ps", "sleep", "touch", "uname", "whoami"})
    )
    + r")(?=[\s;&|)]|$)"
)
CALLS = re.compile(
    f"{UNREAD.pattern}|({STARTS}({'|'.join(READERS)}))(?=[ \\t])"
    r"((?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|[^;&|<>)\n'\"])*)"
)
HEARING = re.compile(
    f"{STARTS}(?:tee\\b|dd[ \\t]+of=|tar[ \\t]+(?:[^;&|\\n]*[ \\t])?-(?![^\\s;&|])"
    r"|(?:cat|wc|base64|gunzip|sh|bash)(?:[ \t]+-[a-z]+)*[ \t]*(?=[;&|>)\n]|$))"
)


def foreign_syntax(text: str) -> tuple[int, str] | None:
    """What bash knows and neither ash nor dash can read: the line, and what they stumble over."""
    plain = HERE_DOCUMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    plain = UNREAD.sub(lambda found: "Q" + "\n" * found[0].count("\n"), plain)
    found = FOREIGN.search(plain)
    if found is None:
        return None
    return plain.count("\n", 0, found.start("text" if found["text"] else "array")) + 1, found["text"] or found["array"]


def without_brace_expansion(text: str) -> str:
    """`{1..3}` and `{a,b}` as ash and dash take them: literally."""
    if HERE_DOCUMENT.search(text):
        return text
    return BRACES.sub(lambda found: f"\\{found[1]}" if found[1] else found[0], text)


def without_input_for_the_deaf(text: str) -> str:
    """A script that is piped to, with that kept from commands that do not read it: bashkit would wait for its end before it
    runs those that are given files, and give it to whichever comes first, though others read it."""
    if HERE_DOCUMENT.search(text):
        return text
    text = CALLS.sub(lambda found: f"{found[1]} </dev/null{found[3]}" if _has_files(found) else found[0], text)
    if not HEARING.search(UNREAD.sub("Q", text)):
        return text
    return UNHEARING.sub(lambda found: f"{found[0]} </dev/null" if found["deaf"] else found[0], text)


def _has_files(found: re.Match[str]) -> bool:
    """Whether a call of one of READERS is given files, as far as one can see without looking for them."""
    if not found[2]:
        return False
    before, valued = READERS[found[2]]
    try:
        words = iter(shlex.split(found[3]))
    except ValueError:
        return False
    operands: list[str] = []
    for word in words:
        if not word.startswith("-") or word == "-":
            operands.append(word)
        elif word[-1] in valued and not word.startswith("--"):
            next(words, None)
            if word[-1] in "ef" and before:  # the script of awk, jq or sed
                before -= 1
    if found[2] in ("expr", "yes"):
        return True
    if found[2] == "dd":
        return any(word.startswith("if=") for word in operands)
    files = operands[before:]
    return "-" not in files and any(re.search(r"[/.]", file) for file in files)


def with_name(text: str, name: str) -> str:
    """bashkit has no way to set $0: put it into the text, where quotes allow."""
    if "$0" not in text and "${0" not in text:
        return text
    return re.sub(r"'[^']*'|\$0(?!\d)|\$\{0\}", lambda m: m[0] if m[0].startswith("'") else name, text)
