"""kuard's key generator: a batch workload, alone or fed from a work queue."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.network.http import ProtocolError, exchange
from kuartui.embedded.node.runtime.process import Process

KEY_SECONDS = 0.4  # of CPU, for an RSA key
IDLE_SECONDS = 5.0

FLAGS = {
    "enable": False,
    "exit-code": 0,
    "exit-on-complete": False,
    "memq-queue": "",
    "memq-server": "",
    "num-to-gen": 0,
    "time-to-run": 0,
}


class KeyGenConfig(Struct, frozen=True):
    """What to generate, and what to do when done."""

    enable: bool = False
    exit_on_complete: bool = False
    exit_code: int = 0
    num_to_gen: int = 0
    time_to_run: int = 0
    memq_server: str = ""
    memq_queue: str = ""

    @staticmethod
    def flag_defaults() -> dict[str, object]:
        """Flags with their defaults."""
        return {f"keygen-{name}": value for name, value in FLAGS.items()}

    @classmethod
    def from_flags(cls, flags: dict[str, Any]) -> KeyGenConfig:
        """From parsed flags."""
        return cls(**{name.replace("-", "_"): flags[f"keygen-{name}"] for name in FLAGS})

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> KeyGenConfig:
        """From the web page's form."""
        return cls(
            bool(value.get("enable")),
            bool(value.get("exitOnComplete")),
            int(value.get("exitCode") or 0),
            int(value.get("numToGen") or 0),
            int(value.get("timeToRun") or 0),
            str(value.get("memQServer") or ""),
            str(value.get("memQQueue") or ""),
        )

    def as_json(self) -> dict[str, object]:
        """For the web page."""
        return {
            "enable": self.enable,
            "exitOnComplete": self.exit_on_complete,
            "exitCode": self.exit_code,
            "numToGen": self.num_to_gen,
            "timeToRun": self.time_to_run,
            "memQServer": self.memq_server,
            "memQQueue": self.memq_queue,
        }


class KeyGen:
    """Runs one workload at a time."""

    def __init__(self, process: Process, config: KeyGenConfig) -> None:
        self._process = process
        self._task: asyncio.Task[None] | None = None
        self._number = 0
        self.config = config
        self.history: list[dict[str, object]] = []
        self.on_exit: Callable[[int], object] = lambda code: None

    def configure(self, config: KeyGenConfig) -> None:
        """Stop what runs, start what is asked for."""
        self.config = config
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if config.enable:
            self._number += 1
            self._task = self._process.background(self._run(config, self._number))

    async def _say(self, text: str) -> None:
        now = self._process.clock.now()
        self.history = [{"id": len(self.history) + 1, "data": text}, *self.history[:19]]
        await self._process.err(f"{now:%Y/%m/%d %H:%M:%S} {text}\n")

    async def _run(self, config: KeyGenConfig, number: int) -> None:
        clock = self._process.clock
        await self._say(f"(ID {number}) Workload starting")
        until = clock.monotonic() + config.time_to_run if config.time_to_run else None
        made = 0
        while not (config.num_to_gen and made >= config.num_to_gen) and not (until and clock.monotonic() >= until):
            if config.memq_server:
                item = await self._dequeue(config, number)
                if item is None:
                    continue
                if item == "":
                    break
                await self._say(f"(ID {number} {made + 1}/{config.num_to_gen or '?'}) Item: {item}")
            await self._process.compute(KEY_SECONDS)
            made += 1
            total = f"{made}/{config.num_to_gen}" if config.num_to_gen else str(made)
            await self._say(f"(ID {number} {total}) Item done: SHA256:{self._fingerprint(number, made)}")
        await self._say(f"(ID {number}) Workload exiting")
        if config.exit_on_complete:
            self.on_exit(config.exit_code)

    def _fingerprint(self, number: int, made: int) -> str:
        seed = f"{self._process.container.id}/{number}/{made}".encode()
        return base64.b64encode(hashlib.sha256(seed).digest()).decode().rstrip("=")

    async def _dequeue(self, config: KeyGenConfig, number: int) -> str | None:
        """An item's text; "" when the queue is empty; None after an error and a pause."""
        url = urlsplit(config.memq_server)
        target = f"{url.path.rstrip('/')}/queues/{config.memq_queue}/dequeue"
        try:
            stream = await self._process.connect(url.hostname or "", url.port or 80, seconds=30)
            response = await exchange(stream, "POST", target, url.netloc)
        except NameNotResolved:
            problem = f'Post "{config.memq_server}/queues/{config.memq_queue}/dequeue": dial tcp: lookup {url.hostname}: no such host'
        except (OSError, ProtocolError) as error:
            why = (getattr(error, "strerror", "") or str(error)).lower()
            where = f"{url.hostname}:{url.port or 80}"
            problem = (
                f'Post "{config.memq_server}/queues/{config.memq_queue}/dequeue": dial tcp {where}: connect: {why}'
            )
        else:
            if response.status == 204:
                return ""
            if response.status == 200:
                return str(json.loads(await response.read())["body"])
            problem = f"Unexpected response from server: {response.status}"
        await self._say(f"(ID {number}) Error: {problem}")
        await self._process.clock.sleep(IDLE_SECONDS)
        return None
