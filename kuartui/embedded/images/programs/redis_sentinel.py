"""Redis Sentinel: watches masters, agrees with other sentinels that one is down, and promotes a replica.

After redis/src/sentinel.c: sentinels find each other on the channel `__sentinel__:hello` of the instances they watch;
`down-after-milliseconds` without an answer is subjective (+sdown), `quorum` sentinels who say so make it objective
(+odown); the one whom a majority gives its vote of an epoch leads the failover.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kuartui.embedded.images.programs.redis_cli import Connection, ErrorReply
from kuartui.embedded.images.programs.redis_files import command_bytes
from kuartui.embedded.images.programs.redis_sentinel_state import HELLO, Instance, Master, Settings
from kuartui.embedded.network import NameNotResolved
from kuartui.embedded.node.runtime.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterable

PERIOD_SECONDS = 1.0
HELLO_SECONDS = 2.0
ANSWER_SECONDS = 1.0


class Sentinel:
    """One sentinel process."""

    def __init__(self, process: Process, settings: Settings, my_id: str) -> None:
        self.process = process
        self.settings = settings
        self.my_id = my_id
        self.epoch = settings.epoch
        self.masters: dict[str, Master] = {}
        self._subscribed: set[tuple[str, str, int]] = set()
        self._voted: dict[str, tuple[int, str]] = {}

    @property
    def now(self) -> float:
        """Seconds."""
        return self.process.clock.monotonic()

    async def log(self, text: str, level: str = "#") -> None:
        """A line of Redis' log, role X."""
        now = self.process.clock.now()
        await self.process.out(
            f"{self.process.pid}:X {now:%d %b %Y %H:%M:%S}.{now.microsecond // 1000:03d} {level} {text}\n"
        )

    # --- talking to instances ---

    async def ask(self, instance: Instance, *commands: str) -> list[Any] | None:
        """Answers of an instance; None if it does not answer in time."""
        stream = None
        try:
            async with self.process.clock.timeout(ANSWER_SECONDS):
                stream = await self.process.connect(instance.host, instance.port, seconds=ANSWER_SECONDS)
                connection, answers = Connection(stream), []
                if instance.password:
                    await connection.ask([b"AUTH", instance.password.encode()])
                for command in commands:
                    answers.append(await connection.ask([word.encode() for word in command.split(" ", 3)]))
                return answers
        except (OSError, NameNotResolved, ValueError):
            return None
        finally:
            if stream is not None:
                stream.close()

    async def _look(self, master: Master, instance: Instance) -> None:
        answers = await self.ask(instance, "PING", "INFO")
        if answers is None or (
            isinstance(answers[0], ErrorReply) and not answers[0].startswith(("LOADING", "MASTERDOWN"))
        ):
            return
        instance.answered = self.now
        if not isinstance(answers[1], bytes):
            return
        instance.learn(answers[1].decode(errors="replace"), self.now)
        if instance is master.instance:
            for host, port in instance.replicas:
                if (host, port) not in master.replicas:
                    found = Instance(host, port, self.now, master.instance.password)
                    master.replicas[host, port] = found
                    await self.log(f"+slave slave {host}:{port} {host} {port} @ {master.label}", "*")
        key = (master.name, instance.host, instance.port)
        if key not in self._subscribed:
            self._subscribed.add(key)
            self.process.background(self._listen(key, instance.password))

    async def _listen(self, key: tuple[str, str, int], password: str) -> None:
        """Hear of other sentinels through an instance, as long as it lives."""
        try:
            stream = await self.process.connect(key[1], key[2], seconds=ANSWER_SECONDS)
            connection = Connection(stream)
            if password:
                await connection.ask([b"AUTH", password.encode()])
            await stream.write(command_bytes([b"SUBSCRIBE", HELLO.encode()]))
            while True:
                message = await connection.reply()
                if isinstance(message, list) and message[0] == b"message":
                    await self._heard(message[2].decode(errors="replace").split(","))
        except (OSError, NameNotResolved, ValueError):
            pass
        finally:
            self._subscribed.discard(key)

    async def _heard(self, words: list[str]) -> None:
        if len(words) != 8 or words[2] == self.my_id:
            return
        host, port, who, epoch, name, master_host, master_port, master_epoch = words
        master = self.masters.get(name)
        if master is None:
            return
        found = master.sentinels.get(who)
        if found is None:
            await self.log(f"+sentinel sentinel {who} {host} {port} @ {master.label}", "*")
        if found is None or (found.host, found.port) != (host, int(port)):
            found = master.sentinels[who] = Instance(host, int(port), self.now)
        found.answered = self.now
        if int(epoch) > self.epoch:
            self.epoch = int(epoch)
            await self.log(f"+new-epoch {self.epoch}")
        if int(master_epoch) > master.epoch:
            master.epoch = int(master_epoch)
            if (master_host, int(master_port)) != (master.instance.host, master.instance.port):
                await self.log(f"+config-update-from sentinel {who} {host} {port} @ {master.label}", "*")
                await self.switch(master, master_host, int(master_port))

    async def _say_hello(self, master: Master) -> None:
        words = (self.process.ip, str(self.settings.port), self.my_id, str(self.epoch), master.name,
                 master.instance.host, str(master.instance.port), str(master.epoch))  # fmt: skip
        every = [master.instance, *master.replicas.values()]
        await asyncio.gather(*(self.ask(one, f"PUBLISH {HELLO} {','.join(words)}") for one in every if not one.down))

    # --- who is down ---

    async def _judge(self, master: Master, kind: str, who: str, instance: Instance) -> None:
        is_down = self.now - instance.answered > master.down_after
        if is_down != instance.down:
            instance.down = is_down
            place = f"{instance.host} {instance.port}"
            tail = "" if kind == "master" else f" @ {master.label}"
            await self.log(f"{'+' if is_down else '-'}sdown {kind} {who or master.name} {place}{tail}")

    async def _objective(self, master: Master) -> None:
        if not master.instance.down:
            if master.objective:
                master.objective = False
                await self.log(f"-odown master {master.label}")
            return
        agree = 1 + sum(answer[0] == 1 for answer in await self._others(master, "*"))
        if agree >= master.quorum and not master.objective:
            master.objective = True
            await self.log(f"+odown master {master.label} #quorum {agree}/{master.quorum}")
        elif agree < master.quorum and master.objective:
            master.objective = False
            await self.log(f"-odown master {master.label}")

    async def _others(self, master: Master, candidate: str) -> list[list[Any]]:
        """What the other sentinels answer to is-master-down-by-addr; with a candidate they vote, too."""
        question = (
            f"SENTINEL is-master-down-by-addr {master.instance.host} {master.instance.port} {self.epoch} {candidate}"
        )
        words = [word.encode() for word in question.split()]

        async def one(other: Instance) -> list[Any] | None:
            stream = None
            try:
                async with self.process.clock.timeout(ANSWER_SECONDS):
                    stream = await self.process.connect(other.host, other.port, seconds=ANSWER_SECONDS)
                    answer = await Connection(stream).ask(words)
                    return answer if isinstance(answer, list) and len(answer) == 3 else None
            except (OSError, NameNotResolved, ValueError):
                return None
            finally:
                if stream is not None:
                    stream.close()

        answers = await asyncio.gather(*(one(other) for other in master.sentinels.values()))
        return [answer for answer in answers if answer is not None]

    async def vote(self, master: Master, epoch: int, candidate: str) -> tuple[str, int]:
        """Whom this sentinel votes for: whoever asked first in an epoch."""
        if epoch > self.epoch:
            self.epoch = epoch
            await self.log(f"+new-epoch {epoch}")
        voted = self._voted.get(master.name, (0, "*"))
        if voted[0] < epoch and self.epoch <= epoch:
            voted = self._voted[master.name] = (epoch, candidate)
            await self.log(f"+vote-for-leader {candidate} {epoch}")
            if candidate != self.my_id:
                master.tried = self.now  # give the other one its time
        return voted[1], voted[0]

    # --- failover ---

    async def _maybe_fail_over(self, master: Master) -> None:
        if master.forced or (master.objective and self.now - master.tried > 2 * master.failover_timeout):
            await self.fail_over(master)

    async def fail_over(self, master: Master) -> None:
        """Get elected, promote the best replica, point the others to it."""
        forced, master.forced, master.tried = master.forced, False, self.now
        before = self._voted.get(master.name, (0, ""))[0]
        await self.process.clock.sleep(int(self.my_id[:4], 16) / 0xFFFF)  # so that not all ask at the same moment
        if not forced and self._voted.get(master.name, (0, ""))[0] > before:
            return  # another sentinel was faster and has this one's vote
        self.epoch += 1
        await self.log(f"+new-epoch {self.epoch}")
        await self.log(f"+try-failover master {master.label}")
        if not forced and not await self._elected(master):
            await self.log(f"-failover-abort-not-elected master {master.label}")
            return
        await self.log(f"+elected-leader master {master.label}")
        await self.log(f"+failover-state-select-slave master {master.label}")
        chosen = master.best_replica()
        if chosen is None:
            await self.log(f"-failover-abort-no-good-slave master {master.label}")
            return
        place = f"{chosen.host}:{chosen.port} {chosen.host} {chosen.port} @ {master.label}"
        await self.log(f"+selected-slave slave {place}")
        await self.log(f"+failover-state-send-slaveof-noone slave {place}", "*")
        if await self.ask(chosen, "SLAVEOF NO ONE") is None:
            await self.log(f"-failover-abort-slave-timeout slave {place}")
            return
        await self.log(f"+promoted-slave slave {place}")
        await self.log(f"+failover-state-reconf-slaves master {master.label}")
        for replica in master.replicas.values():
            if replica is not chosen and not replica.down:
                await self.ask(replica, f"SLAVEOF {chosen.host} {chosen.port}")
                await self.log(f"+slave-reconf-sent slave {replica.host}:{replica.port} {replica.host} {replica.port} @ {master.label}", "*")  # fmt: skip
        await self.log(f"+failover-end master {master.label}")
        master.epoch = self.epoch
        await self.switch(master, chosen.host, chosen.port)
        await self._say_hello(master)

    async def _elected(self, master: Master) -> bool:
        await self.vote(master, self.epoch, self.my_id)
        answers = await self._others(master, self.my_id)
        mine: int = sum(answer[1] == self.my_id.encode() and answer[2] == self.epoch for answer in answers)
        mine += self._voted[master.name] == (self.epoch, self.my_id)
        return mine >= max(master.quorum, (len(master.sentinels) + 1) // 2 + 1)

    async def switch(self, master: Master, host: str, port: int) -> None:
        """Another instance is the master from now on; the old one is kept as a replica."""
        old = master.instance
        await self.log(f"+switch-master {master.name} {old.host} {old.port} {host} {port}")
        known = [one for one in (*master.replicas.values(), old) if (one.host, one.port) != (host, port)]
        master.instance = Instance(host, port, self.now, old.password)
        master.replicas = {(one.host, one.port): one for one in known}
        master.objective = False
        for one in known:
            await self.log(f"+slave slave {one.host}:{one.port} {one.host} {one.port} @ {master.label}", "*")
        await self.save()

    async def _reconfigure(self, master: Master) -> None:
        """Replicas that think they are masters, or follow somebody else, are told better after a while."""
        if master.instance.down or master.instance.role != "master":
            return
        for replica in master.replicas.values():
            right = replica.role == "slave" and replica.follows == (master.instance.host, master.instance.port)
            if replica.down or not replica.role or right:
                replica.wrong_since = None
                continue
            replica.wrong_since = self.now if replica.wrong_since is None else replica.wrong_since
            if self.now - replica.wrong_since >= 4 * HELLO_SECONDS:
                event = "+convert-to-slave" if replica.role == "master" else "+fix-slave-config"
                place = f"{replica.host}:{replica.port} {replica.host} {replica.port}"
                await self.log(f"{event} slave {place} @ {master.label}", "*")
                await self.ask(replica, f"SLAVEOF {master.instance.host} {master.instance.port}")
                replica.wrong_since = None

    # --- life ---

    async def save(self) -> bool:
        """Rewrite the configuration file. False if that is not possible."""
        text = self.settings.text(self.my_id, self.epoch, self.masters.values())
        try:
            self.process.files.write(self.settings.path, text.encode(), self.process.user)
        except OSError as error:
            await self.log(f"WARNING: Sentinel was not able to save the new configuration on disk!!!: {error.strerror}")
            return False
        return True

    async def watch(self, master: Master) -> None:
        """Look after one master for ever."""
        said = -HELLO_SECONDS
        while self.masters.get(master.name) is master:
            instances = [master.instance, *master.replicas.values()]
            await asyncio.gather(*(self._look(master, one) for one in instances))
            await self._judge_all(master)
            await self._objective(master)
            await self._maybe_fail_over(master)
            await self._reconfigure(master)
            if self.now - said >= HELLO_SECONDS:
                said = self.now
                await self._say_hello(master)
            await self.process.clock.sleep(PERIOD_SECONDS)

    async def _judge_all(self, master: Master) -> None:
        await self._judge(master, "master", "", master.instance)
        for replica in list(master.replicas.values()):
            await self._judge(master, "slave", f"{replica.host}:{replica.port}", replica)
        for who, other in list(master.sentinels.items()):
            await self._ping_other(other)
            await self._judge(master, "sentinel", who, other)

    async def _ping_other(self, other: Instance) -> None:
        if await self.ask(other, "PING") is not None:
            other.answered = self.now

    def begin(self, masters: Iterable[Master]) -> None:
        """Start to watch."""
        for master in masters:
            self.masters[master.name] = master
            self.process.background(self.watch(master))
