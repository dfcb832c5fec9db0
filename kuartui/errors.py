"""The errors a person may meet, as one small tree. Each says what is wrong, and carries a hint and an exit code.

    KuartuiError            1   also: the answer is no (a check is red, a proof failed, lint found something)
    ├── UsageError          2   the command makes no sense as given
    │   └── UnknownName     2   no level, cluster, check … of that name; says what there is
    ├── LevelError          3   a level pack is broken; carries file:line and the field
    ├── ClusterError        4   a cluster could not be made, reached or used
    │   └── ApiError        4   the Kubernetes API answered with a Status that is not a success
    ├── MissingError        5   something this needs is not there: kubectl, docker, a capability
    ├── StorageError        6   a file or directory cannot be read or written
    └── AttemptError        7   not possible in this state of the attempt

An unforeseen exception is a bug: exit code 70. Ctrl-C is 130. Libraries' errors are turned into these once, at the
edge that calls the library.
"""

from __future__ import annotations

from collections.abc import Iterable

from kuartui.message import Message, later

BUG = 70
INTERRUPTED = 130


class KuartuiError(Exception):
    """One clear sentence in `message`; what to do about it in `hint` (may be empty). Both are English, and `later` ones
    (`kuartui.message`), so that who shows them can say them in the player's language."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KuartuiError):
    exit_code = 2


class UnknownName(UsageError):
    """`UnknownName(later("level"), "broken-selecter", ["broken-selector"])` names what is there and guesses what was
    meant."""

    def __init__(self, noun: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        self.noun, self.name, self.known = noun, name, sorted(known)
        guess = did_you_mean(name, self.known)
        if not hint and self.known and not guess:
            listed = ", ".join(self.known[:12]) + (", …" if len(self.known) > 12 else "")
            hint = later("there are: {names}", names=listed)
        super().__init__(later("no {noun} {name!r}{guess}", noun=noun, name=name, guess=guess), hint=hint)


class LevelError(KuartuiError):
    """`file`, `line` (from 1) and `field` (spec.checks[0].weight) are empty or 0 where they are not known."""

    exit_code = 3

    def __init__(self, problem: str, *, file: str = "", line: int = 0, field: str = "", hint: str = "") -> None:
        self.problem, self.file, self.line, self.field = problem, file, line, field
        where = f"{file}:{line}" if file and line else file
        parts = {"where": where, "field": field, "problem": problem}
        template = ": ".join(f"{{{name}}}" for name, part in parts.items() if part)
        super().__init__(Message(template, dict(parts)), hint=hint)


class ClusterError(KuartuiError):
    exit_code = 4


class ElsewhereError(ClusterError):
    """What leads to a cluster leads to another one than it did when an attempt was begun there."""


class GoneError(ClusterError):
    """A cluster that kuartui had made is not there any more."""


class NoKindError(ClusterError):
    """The cluster does not serve a kind, or not yet."""


class ApiError(ClusterError):
    """A metav1.Status that the API server answered; `code` is the HTTP status, `reason` e.g. NotFound."""

    def __init__(self, message: str, *, code: int = 0, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code, self.reason = code, reason


class MissingError(KuartuiError):
    exit_code = 5


class StorageError(KuartuiError):
    exit_code = 6


class AttemptError(KuartuiError):
    exit_code = 7


#: what the system says most often of a file or a connection, for the translators
SYSTEM_WORDS = (
    later("permission denied"),
    later("no space left on device"),
    later("read-only file system"),
    later("no such file or directory"),
    later("not a directory"),
    later("is a directory"),
    later("file name too long"),
    later("too many open files"),
    later("address already in use"),
    later("connection refused"),
    later("connection reset by peer"),
    later("no route to host"),
    later("network is unreachable"),
)


def system_words(error: OSError) -> Message:
    """What the system says of it, in lower case, to be put into a sentence."""
    return Message((error.strerror or str(error)).lower(), {})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """'; did you mean x?' when one of `known` is close, else ''."""
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return later("; did you mean {name}?", name=close[0]) if close else ""
