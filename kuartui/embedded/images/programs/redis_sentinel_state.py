"""What a Redis sentinel knows: its configuration, masters, replicas, other sentinels."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from msgspec import Struct, field

HELLO = "__sentinel__:hello"
PLAIN = frozenset(["port", "bind", "dir", "protected-mode", "daemonize", "logfile", "loglevel", "pidfile", "requirepass",
                   "acllog-max-len", "user", "latency-tracking-info-percentiles", "supervised"])  # fmt: skip
OPTIONS = frozenset(["down-after-milliseconds", "failover-timeout", "parallel-syncs", "auth-pass", "auth-user", "quorum",
                     "config-epoch", "leader-epoch", "known-replica", "known-slave", "known-sentinel", "notification-script",
                     "client-reconfig-script", "master-reboot-down-after-period", "rename-command"])  # fmt: skip
GLOBAL = frozenset(["myid", "current-epoch", "resolve-hostnames", "announce-hostnames", "announce-ip", "announce-port",
                    "deny-scripts-reconfig", "sentinel-user", "sentinel-pass"])  # fmt: skip


class SentinelConfigError(ValueError):
    """A line that Sentinel refuses: number, text and reason."""

    def __init__(self, line: int, text: str, why: str) -> None:
        super().__init__(why)
        self.line, self.text, self.why = line, text, why


class Instance(Struct):
    """A Redis server or another sentinel. Times are on the process' monotonic clock."""

    host: str
    port: int
    answered: float
    password: str = ""
    down: bool = False
    role: str = ""
    run_id: str = ""
    priority: int = 100
    offset: int = 0
    link_up: bool = False
    follows: tuple[str, int] = ("", 0)
    replicas: list[tuple[str, int]] = field(default_factory=list)
    wrong_since: float | None = None

    def learn(self, info: str, now: float) -> None:
        """Take in the answer to INFO."""
        rows = dict(line.strip().split(":", 1) for line in info.splitlines() if ":" in line)
        self.role, self.run_id = rows.get("role", ""), rows.get("run_id", "")
        self.priority = int(rows.get("slave_priority", "100"))
        self.offset = int(rows.get("slave_repl_offset", rows.get("master_repl_offset", "0")))
        self.link_up = rows.get("master_link_status") == "up"
        self.follows = rows.get("master_host", ""), int(rows.get("master_port", "0"))
        found = [
            re.match(r"ip=([^,]+),port=(\d+)", text) for key, text in rows.items() if re.fullmatch(r"slave\d+", key)
        ]
        self.replicas = [(one[1], int(one[2])) for one in found if one]


class Master(Struct):
    """A name that clients ask for, and who it is now."""

    name: str
    instance: Instance
    quorum: int
    down_after: float = 30.0
    failover_timeout: float = 180.0
    parallel_syncs: int = 1
    epoch: int = 0
    replicas: dict[tuple[str, int], Instance] = field(default_factory=dict)
    sentinels: dict[str, Instance] = field(default_factory=dict)
    objective: bool = False
    forced: bool = False
    tried: float = float("-inf")

    @property
    def label(self) -> str:
        """`name ip port`, as in the log."""
        return f"{self.name} {self.instance.host} {self.instance.port}"

    def best_replica(self) -> Instance | None:
        """By priority, then by what it has, then by run id."""
        good = [one for one in self.replicas.values() if not one.down and one.role == "slave" and one.priority]
        return min(good, key=lambda one: (one.priority, -one.offset, one.run_id), default=None)

    def set(self, option: str, value: str) -> None:
        """SENTINEL SET. Raises KeyError for an unknown option, ValueError for a value."""
        match option:
            case "quorum":
                if int(value) < 1:
                    raise ValueError(value)
                self.quorum = int(value)
            case "down-after-milliseconds":
                self.down_after = int(value) / 1000
            case "failover-timeout":
                self.failover_timeout = int(value) / 1000
            case "parallel-syncs":
                self.parallel_syncs = int(value)
            case "auth-pass":
                self.instance.password = value
                for one in self.replicas.values():
                    one.password = value
            case _:
                raise KeyError(option)


class Monitor(Struct):
    """`sentinel monitor NAME HOST PORT QUORUM` with its options."""

    name: str
    host: str
    port: int
    quorum: int
    line: int
    options: list[tuple[str, str]] = field(default_factory=list)
    epoch: int = 0
    replicas: list[tuple[str, int]] = field(default_factory=list)
    sentinels: list[tuple[str, int, str]] = field(default_factory=list)


class Settings(Struct):
    """A sentinel's configuration file."""

    path: str
    port: int = 26379
    epoch: int = 0
    my_id: str = ""
    resolve: bool = False
    other: list[str] = field(default_factory=list)
    monitors: dict[str, Monitor] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str, text: str) -> Settings:
        """Raises SentinelConfigError."""
        settings = cls(path)
        for number, line in enumerate(text.splitlines(), 1):
            bare = line.strip()
            if bare and not bare.startswith("#"):
                try:
                    settings._take(number, shlex.split(bare))
                except (IndexError, ValueError) as error:
                    raise SentinelConfigError(number, bare, str(error) or "wrong number of arguments") from None
                if not bare.lower().startswith("sentinel "):
                    settings.other.append(bare)
        return settings

    def _take(self, number: int, words: list[str]) -> None:
        name = words[0].lower()
        if name == "port":
            self.port = int(words[1])
        elif name == "sentinel":
            self._sentinel(number, words[1].lower(), words[2:])
        elif name not in PLAIN:
            raise ValueError("Bad directive or wrong number of arguments")

    def _sentinel(self, number: int, word: str, rest: list[str]) -> None:
        if word == "monitor":
            if len(rest) != 4:
                raise ValueError("Unrecognized sentinel configuration statement.")
            if not rest[3].isdigit() or int(rest[3]) < 1:
                raise ValueError("Quorum must be 1 or greater.")
            self.monitors[rest[0]] = Monitor(rest[0], rest[1], int(rest[2]), int(rest[3]), number)
        elif word in OPTIONS:
            if rest[0] not in self.monitors:
                raise ValueError("No such master with specified name.")
            if word == "config-epoch":
                self.monitors[rest[0]].epoch = int(rest[1])
            elif word in ("known-replica", "known-slave"):
                self.monitors[rest[0]].replicas.append((rest[1], int(rest[2])))
            elif word == "known-sentinel":
                self.monitors[rest[0]].sentinels.append((rest[1], int(rest[2]), rest[3]))
            elif word != "leader-epoch":
                self.monitors[rest[0]].options.append((word, rest[1]))
        elif word == "myid":
            self.my_id = rest[0]
        elif word == "current-epoch":
            self.epoch = int(rest[0])
        elif word == "resolve-hostnames":
            self.resolve = rest[0] == "yes"
        elif word not in GLOBAL:
            raise ValueError("Unrecognized sentinel configuration statement.")

    def text(self, my_id: str, epoch: int, masters: Iterable[Master]) -> str:
        """The file as Sentinel rewrites it."""
        lines = [*self.other, f"sentinel myid {my_id}"]
        if self.resolve:
            lines.append("sentinel resolve-hostnames yes")
        for master in masters:
            name = master.name
            lines += [
                f"sentinel monitor {master.label} {master.quorum}",
                f"sentinel down-after-milliseconds {name} {int(master.down_after * 1000)}",
                f"sentinel failover-timeout {name} {int(master.failover_timeout * 1000)}",
                f"sentinel config-epoch {name} {master.epoch}",
            ]
            if master.instance.password:
                lines.append(f"sentinel auth-pass {name} {master.instance.password}")
            lines += [f"sentinel known-replica {name} {host} {port}" for host, port in master.replicas]
            lines += [
                f"sentinel known-sentinel {name} {one.host} {one.port} {who}" for who, one in master.sentinels.items()
            ]
        return "\n".join([*lines, f"sentinel current-epoch {epoch}", ""])
