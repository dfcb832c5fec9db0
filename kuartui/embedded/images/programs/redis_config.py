"""redis.conf: what may be set, to what, and how Redis refuses the rest."""

from __future__ import annotations

import re
import shlex

POLICIES = (
    "volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction"
)
BOOL = "yes, no"

DEFAULTS: dict[str, str] = {
    "port": "6379", "bind": "* -::*", "protected-mode": "yes", "timeout": "0", "tcp-keepalive": "300", "tcp-backlog": "511",
    "daemonize": "no", "loglevel": "notice", "logfile": "", "databases": "16", "save": "3600 1 300 100 60 10000",
    "stop-writes-on-bgsave-error": "yes", "rdbcompression": "yes", "rdbchecksum": "yes", "dbfilename": "dump.rdb", "dir": "./",
    "replica-serve-stale-data": "yes", "replica-read-only": "yes", "repl-diskless-sync": "yes", "replica-priority": "100",
    "requirepass": "", "masterauth": "", "masteruser": "", "maxclients": "10000", "maxmemory": "0", "maxmemory-policy": "noeviction",
    "maxmemory-samples": "5", "appendonly": "no", "appendfilename": "appendonly.aof", "appenddirname": "appendonlydir",
    "appendfsync": "everysec", "no-appendfsync-on-rewrite": "no", "auto-aof-rewrite-percentage": "100",
    "auto-aof-rewrite-min-size": "64mb", "aof-load-truncated": "yes", "aof-use-rdb-preamble": "yes", "lazyfree-lazy-eviction": "no",
    "slowlog-log-slower-than": "10000", "slowlog-max-len": "128", "notify-keyspace-events": "", "hz": "10", "io-threads": "1",
    "replicaof": "", "always-show-logo": "no", "supervised": "no", "pidfile": "/var/run/redis.pid", "unixsocket": "",
    "tls-port": "0", "cluster-enabled": "no", "activedefrag": "no", "client-output-buffer-limit": "normal 0 0 0", "maxmemory-clients": "0",
    "min-replicas-to-write": "0", "min-replicas-max-lag": "10", "repl-backlog-size": "1mb", "latency-monitor-threshold": "0",
    "replica-announce-ip": "", "replica-announce-port": "0", "aclfile": "", "syslog-enabled": "no", "set-proc-title": "yes",
    "lua-time-limit": "5000", "oom-score-adj": "no", "repl-timeout": "60", "disable-thp": "yes", "jemalloc-bg-thread": "yes",
    "appendonly-dir": "", "enable-debug-command": "no", "locale-collate": "", "crash-log-enabled": "yes", "list-max-listpack-size": "-2",
    "hash-max-listpack-entries": "128", "set-max-intset-entries": "512", "zset-max-listpack-entries": "128", "dynamic-hz": "yes",
}  # fmt: skip
ALIASES = {"slaveof": "replicaof", "slave-read-only": "replica-read-only", "slave-priority": "replica-priority"}
ENUMS = {
    "maxmemory-policy": POLICIES,
    "appendfsync": "everysec, always, no",
    "loglevel": "debug, verbose, notice, warning, nothing",
    "supervised": "upstart, systemd, auto, no",
}
NUMBERS = frozenset(
    [
        "port",
        "databases",
        "timeout",
        "hz",
        "maxclients",
        "tcp-keepalive",
        "tcp-backlog",
        "slowlog-log-slower-than",
        "slowlog-max-len",
        "replica-priority",
        "io-threads",
    ]
)
LEAST = {"databases": 1, "slowlog-log-slower-than": -1}
MEMORY = frozenset(["maxmemory", "auto-aof-rewrite-min-size", "repl-backlog-size"])
UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
IMMUTABLE = frozenset(
    [
        "port-range",
        "databases",
        "daemonize",
        "logfile",
        "appenddirname",
        "appendfilename",
        "cluster-enabled",
        "supervised",
    ]
)
IGNORED = frozenset(["include", "loadmodule", "rename-command", "user", "save"])


class ConfigError(ValueError):
    """A line that Redis refuses; str() is its reason."""


class FatalConfig(Exception):
    """The whole text that Redis prints to standard error before it exits with 1."""


def memory(text: str) -> int:
    """`100mb` in bytes. Raises ConfigError."""
    found = re.fullmatch(r"(\d+)([a-z]*)", text.strip().lower())
    if found is None or found[2] not in UNITS:
        raise ConfigError("argument must be a memory value")
    return int(found[1]) * UNITS[found[2]]


def check(name: str, value: str) -> str:
    """A value as CONFIG GET shows it. Raises ConfigError."""
    if name in ENUMS:
        if value.lower() not in ENUMS[name].split(", "):
            raise ConfigError(f"argument(s) must be one of the following: {ENUMS[name]}")
        return value.lower()
    if name in MEMORY:
        return str(memory(value))
    if DEFAULTS.get(name) in ("yes", "no") and name not in ENUMS:
        if value.lower() not in ("yes", "no"):
            raise ConfigError("argument must be 'yes' or 'no'")
        return value.lower()
    if name in NUMBERS:
        if not re.fullmatch(r"-?\d+", value):
            raise ConfigError("argument couldn't be parsed into an integer")
        if name == "port" and not 0 <= int(value) <= 65535:
            raise ConfigError("argument must be between 0 and 65535 inclusive")
        least = LEAST.get(name, 0)
        if int(value) < least:
            raise ConfigError(f"argument must be between {least} and 2147483647 inclusive")
    return value


def read(text: str, version: str) -> dict[str, str]:
    """The settings of a configuration text. Raises FatalConfig."""
    settings: dict[str, str] = {}
    saves: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        try:
            words = shlex.split(bare)
        except ValueError:
            raise FatalConfig(_fatal(version, number, bare, "Unbalanced quotes in configuration line")) from None
        name = ALIASES.get(words[0].lower(), words[0].lower())
        try:
            if name == "save":
                saves = _save(words[1:], saves)
                continue
            if name in IGNORED:
                continue
            if name not in DEFAULTS or len(words) < 2:
                raise ConfigError("Bad directive or wrong number of arguments")
            many = ("bind", "replicaof", "client-output-buffer-limit")
            if len(words) > 2 and name not in many:
                raise ConfigError(
                    "wrong number of arguments" if name in DEFAULTS else "Bad directive or wrong number of arguments"
                )
            settings[name] = check(name, " ".join(words[1:]))
        except ConfigError as error:
            raise FatalConfig(_fatal(version, number, bare, str(error))) from None
    if saves is not None:
        settings["save"] = " ".join(saves)
    return settings


def _save(words: list[str], before: list[str] | None) -> list[str]:
    if words == [""]:
        return []
    if len(words) % 2 or not all(word.isdigit() for word in words):
        raise ConfigError("Invalid save parameters")
    return [*(before or []), *words]


def _fatal(version: str, line: int, text: str, why: str) -> str:
    return (
        f"\n*** FATAL CONFIG FILE ERROR (Redis {version}) ***\n"
        f"Reading the configuration file, at line {line}\n>>> '{text}'\n{why}\n"
    )
