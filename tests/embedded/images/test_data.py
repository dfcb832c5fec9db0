"""redis and the databases: data that outlives containers, configuration that is refused, memory, logins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kuartui.embedded.images.programs import redis_files
from kuartui.embedded.images.programs.redis_data import Database, Entry, Filler
from kuartui.embedded.node.runtime import Container, Credentials, ExecIO, Exit, Mount, Projected, Resources, Volume
from tests.embedded.containers import Capture, World

MIB = 1 << 20


def conf(world: World, text: str) -> Mount:
    return Mount("/conf", Volume.projection({"redis.conf": Projected(text.encode())}, world.clock.now()))


async def cli(world: World, container: Container, line: str) -> str:
    _, out, err = await world.exec(container, "redis-cli", *line.split())
    return (out + err).strip()


async def stop(world: World, container: Container) -> Exit:
    task = asyncio.ensure_future(container.stop(30))
    await world.clock.advance(31)
    return await task


async def test_redis_keeps_its_append_only_file(world: World) -> None:
    data = Volume(kind="persistentVolumeClaim")
    mounts = (Mount("/data", data), conf(world, "appendonly yes\n"))
    first = await world.start("redis:7-alpine", args=("redis-server", "/conf/redis.conf"), mounts=mounts)
    for line in ("set a 1", "rpush l x y", "hset h f v", "setrange big 9000000 z", "expire a 10"):
        await cli(world, first, line)
    first.kill()
    await world.clock.settle()
    second = await world.start("redis:7-alpine", args=("redis-server", "/conf/redis.conf"), mounts=mounts)
    assert "DB loaded from append only file" in world.log(second)
    assert await cli(world, second, "dbsize") == "4"
    assert await cli(world, second, "lrange l 0 -1") == "x\ny"
    assert await cli(world, second, "strlen big") == "9000001"
    await world.clock.advance(11)
    assert await cli(world, second, "get a") == ""


async def test_redis_moves_from_list_to_list(world: World) -> None:
    container = await world.start("redis:7")
    await cli(world, container, "rpush q a b c")
    assert await cli(world, container, "lmove q done left right") == "a"
    assert await cli(world, container, "lmove q done RIGHT LEFT") == "c"
    assert await cli(world, container, "rpoplpush q done") == "b"
    assert await cli(world, container, "lrange done 0 -1") == "b\nc\na"
    assert await cli(world, container, "lmove q done left right") == ""
    assert await cli(world, container, "exists q") == "0"
    assert await cli(world, container, "lmove done q up down") == "ERR syntax error"
    await cli(world, container, "set word w")
    assert (await cli(world, container, "lmove done word left right")).startswith("WRONGTYPE")
    assert await cli(world, container, "llen done") == "3"


async def test_redis_tells_who_asked_for_what(world: World) -> None:
    container = await world.start(
        "redis:7", args=("redis-server", "--slowlog-log-slower-than", "0", "--slowlog-max-len", "3")
    )
    for line in ("ping", "rpush q a", f"set x {'y' * 130}", "lmove q done left right"):
        await cli(world, container, line)
    words = (await cli(world, container, "slowlog get")).splitlines()
    assert words[3:8] == ["lmove", "q", "done", "left", "right"]
    assert words[8].startswith("127.0.0.1:")
    assert "y" * 128 + "... (2 more bytes)" in words
    assert "ping" not in words, "there is room for three"
    assert (await cli(world, container, "set a")).startswith("ERR wrong number")
    assert (await cli(world, container, "nosuch a")).startswith("ERR unknown command")
    assert await cli(world, container, "set x y z") == "ERR syntax error"
    assert (await cli(world, container, "slowlog get 1")).splitlines()[3:7] == ["set", "x", "y", "z"]
    assert await cli(world, container, "slowlog len") == "3"
    await cli(world, container, "config set slowlog-log-slower-than 10000")
    await cli(world, container, "slowlog reset")
    await cli(world, container, "lmove q done left right")
    assert await cli(world, container, "slowlog get -1") == ""
    assert await cli(world, container, "slowlog get some") == "ERR value is not an integer or out of range"


async def test_redis_cli_answers_what_it_reads_line_by_line(world: World) -> None:
    container = await world.start("redis:7")
    out, more = Capture(), asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        yield b"set a 1\nget a\nge"
        await more.wait()
        yield b"t b\nping"

    task = asyncio.ensure_future(container.exec(["redis-cli"], ExecIO(out.write, out.write, lines())))
    await world.clock.settle()
    assert out.text == "OK\n1\n"
    more.set()
    assert await task == 0
    assert out.text == "OK\n1\n\nPONG\n"


async def test_redis_saves_a_snapshot_when_it_stops(world: World) -> None:
    data = Volume()
    first = await world.start("redis:7", mounts=(Mount("/data", data),))
    await cli(world, first, "set k v")
    assert (await stop(world, first)).code == 0
    assert "DB saved on disk" in world.log(first)
    second = await world.start("redis:7", mounts=(Mount("/data", data),))
    assert await cli(world, second, "get k") == "v"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("maxmemory-policy noevict", "maxmemory-policy noevict", "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction"),
        ("appendonly maybe", "appendonly maybe", "argument must be 'yes' or 'no'"),
        ("nonsense 1", "nonsense 1", "Bad directive or wrong number of arguments"),
        ("maxmemory lots", "maxmemory lots", "argument must be a memory value"),
    ],
)  # fmt: skip
async def test_redis_refuses_a_wrong_configuration(world: World, text: str, line: str, why: str) -> None:
    exit_, log = await world.run(
        "redis:7", "redis-server", "/conf/redis.conf", mounts=(conf(world, f"port 6379\n{text}\n"),)
    )
    assert exit_.code == 1
    assert (
        log
        == f"\n*** FATAL CONFIG FILE ERROR (Redis 7.4.5) ***\nReading the configuration file, at line 2\n>>> '{line}'\n{why}\n"
    )


async def test_redis_outgrows_its_container(world: World) -> None:
    container = await world.start("redis:7", resources=Resources(memory_limit=32 * MIB))
    await world.exec(container, "redis-cli", "debug", "populate", "500", "orders", "80000")
    assert container.exit is not None
    assert (container.exit.code, container.exit.reason) == (137, "OOMKilled")


async def test_maxmemory_refuses_or_evicts(world: World) -> None:
    container = await world.start("redis:7", args=("redis-server", "--maxmemory", "2mb"))
    await cli(world, container, "debug populate 10 old 90000")
    await cli(world, container, "debug populate 4 more 90000")
    assert await cli(world, container, "set x y") == "OOM command not allowed when used memory > 'maxmemory'."
    assert await cli(world, container, "config set maxmemory-policy allkeys-lru") == "OK"
    assert await cli(world, container, "set x y") == "OK"
    assert int(await cli(world, container, "dbsize")) < 15


async def test_memory_is_counted_as_the_allocator_hands_it_out(world: World) -> None:
    container = await world.start("redis:7", args=("redis-server", "--maxmemory", "50mb"))
    for key in range(5):  # with header and end 8 MiB and ten bytes each, for which there are blocks of 10 MiB
        assert await cli(world, container, f"setrange big:{key} 8388607 .") == "8388608"
    assert await cli(world, container, "set x y") == "OOM command not allowed when used memory > 'maxmemory'."
    await cli(world, container, "flushall")
    for key in range(5):
        assert await cli(world, container, f"setrange big:{key} 8388000 .") == "8388001"
    assert await cli(world, container, "set x y") == "OK"


async def test_redis_cannot_write_where_it_may_not(world: World) -> None:
    exit_, log = await world.run("redis:7", user=Credentials(uid=1000), args=("redis-server", "--appendonly", "yes"))
    assert exit_.code == 1
    assert log.endswith("# Can't open or create append-only dir appendonlydir: Permission denied\n")


async def test_a_password_protects(world: World) -> None:
    container = await world.start("redis:7", args=("redis-server", "--requirepass", "s3cret"))
    assert await cli(world, container, "ping") == "NOAUTH Authentication required."
    assert await cli(world, container, "--no-auth-warning -a s3cret ping") == "PONG"
    assert (await cli(world, container, "--no-auth-warning -a wrong ping")).endswith(
        "AUTH failed: WRONGPASS invalid username-password pair or user is disabled."
    )


async def test_a_replica_follows_its_master(world: World) -> None:
    master = await world.start("redis:7")
    await cli(world, master, "set before 1")
    replica = await world.start("redis:7", args=("redis-server", "--replicaof", master.sandbox.ip, "6379"))
    await cli(world, master, "set after 2")
    await world.clock.advance(1)
    assert await cli(world, replica, "mget before after") == "1\n2"
    assert await cli(world, replica, "set x 1") == "READONLY You can't write against a read only replica."
    assert "master_link_status:up" in await cli(world, replica, "info replication")
    assert await cli(world, replica, "replicaof no one") == "OK"
    assert await cli(world, replica, "set x 1") == "OK"


async def test_the_snapshot_format_keeps_every_kind() -> None:
    db = Database(lambda: 0.0)
    db.entries = {
        b"s": Entry(b"text", "string"), b"l": Entry([b"a", b"b"], "list", 5.0), b"set": Entry({b"x"}, "set"),
        b"h": Entry({b"f": b"v" * 20000}, "hash"), b"z": Entry({b"m": 1.5}, "zset"), b"fill": Entry(Filler(b"a", 9, b"z"), "string"),
    }  # fmt: skip
    read: dict[int, Database] = {}
    redis_files.load(redis_files.dump({3: db}, "7.4.5", 0), lambda n: read.setdefault(n, Database(lambda: 0.0)))
    assert {k: bytes(e.value) if isinstance(e.value, Filler) else e.value for k, e in read[3].entries.items()} == {
        b"s": b"text", b"l": [b"a", b"b"], b"set": {b"x"}, b"h": {b"f": b"v" * 20000}, b"z": {b"m": 1.5}, b"fill": b"a" + bytes(8) + b"z",
    }  # fmt: skip
    assert read[3].entries[b"l"].expires == 5.0


async def test_a_cut_append_only_file_is_loaded_as_far_as_it_goes(world: World) -> None:
    data = Volume()
    mounts = (Mount("/data", data),)
    first = await world.start("redis:7", args=("redis-server", "--appendonly", "yes"), mounts=mounts)
    await cli(world, first, "set a 1")
    await cli(world, first, "set b 2")
    first.kill()
    await world.clock.settle()
    path = "/appendonlydir/appendonly.aof.1.incr.aof"
    data.fs.write_file(path, data.fs.read_file(path)[:-3])
    second = await world.start("redis:7", args=("redis-server", "--appendonly", "yes"), mounts=mounts)
    assert "loaded anyway because aof-load-truncated is enabled" in world.log(second)
    assert await cli(world, second, "keys *") == "a"
    data.fs.write_file(path, b"*1\r\nnonsense\r\n")
    second.kill()
    await world.clock.settle()
    exit_, log = await world.run("redis:7", args=("redis-server", "--appendonly", "yes"), mounts=mounts)
    assert exit_.code == 1
    assert "Bad file format reading the append only file" in log


async def test_postgres_wants_a_password_and_an_empty_directory(world: World) -> None:
    exit_, log = await world.run("postgres:16")
    assert exit_.code == 1
    assert log.startswith("Error: Database is uninitialized and superuser password is not specified.")
    disk = Volume()
    disk.fs.mkdir("/lost+found")
    mounts = (Mount("/var/lib/postgresql/data", disk),)
    exit_, log = await world.run("postgres:16", env={"POSTGRES_PASSWORD": "x"}, mounts=mounts)
    assert exit_.code == 1
    assert 'initdb: error: directory "/var/lib/postgresql/data" exists but is not empty' in log
    env = {"POSTGRES_PASSWORD": "x", "PGDATA": "/var/lib/postgresql/data/pgdata"}
    container = await world.start("postgres:16", env=env, mounts=mounts)
    await world.clock.advance(3)
    assert (await world.exec(container, "pg_isready", "-U", "postgres"))[0] == 0


async def test_postgres_checks_who_logs_in_and_what_wrote_its_data(world: World) -> None:
    disk = Volume()
    mounts = (Mount("/var/lib/postgresql/data", disk),)
    container = await world.start("postgres:15", env={"POSTGRES_PASSWORD": "x"}, mounts=mounts)
    await world.clock.advance(3)
    client = await world.start("postgres:16", "sleep", "infinity", env={"PGPASSWORD": "wrong"})
    host = container.sandbox.ip
    _, _, err = await world.exec(client, "psql", "-h", host, "-U", "postgres", "-c", "select 1")
    assert (
        err
        == f'psql: error: connection to server at "{host}", port 5432 failed: FATAL:  password authentication failed for user "postgres"\n'
    )
    await stop(world, container)
    exit_, log = await world.run("postgres:16", env={"POSTGRES_PASSWORD": "x"}, mounts=mounts)
    assert exit_.code == 1
    assert (
        "The data directory was initialized by PostgreSQL version 15, which is not compatible with this version 16"
        in log
    )


async def test_two_mysqls_cannot_share_a_volume(world: World) -> None:
    mounts = (Mount("/var/lib/mysql", Volume()),)
    env = {"MYSQL_ROOT_PASSWORD": "x"}
    first = await world.start("mysql:8.4", env=env, mounts=mounts)
    await world.clock.advance(10)
    assert (await world.exec(first, "mysqladmin", "ping"))[1] == "mysqld is alive\n"
    second = await world.start("mysql:8.4", env=env, mounts=mounts)
    await world.clock.advance(10)
    assert "[ERROR] [MY-012574] [InnoDB] Unable to lock ./ibdata1 error: 11" in world.log(second)
    await stop(world, first)
    await world.clock.advance(5)
    assert "ready for connections" in world.log(second)


async def test_mysql_does_not_go_back(world: World) -> None:
    mounts = (Mount("/var/lib/mysql", Volume()),)
    first = await world.start("mysql:8.4", env={"MYSQL_ROOT_PASSWORD": "x"}, mounts=mounts)
    await world.clock.advance(10)
    await stop(world, first)
    exit_, log = await world.run("mysql:8.0", mounts=mounts)
    assert exit_.code == 1
    assert "Cannot boot server version 8.0.43 on data directory built by version 8.4.6" in log


async def test_mongo_needs_its_directory(world: World) -> None:
    exit_, _ = await world.run("mongo:7", args=("mongod", "--dbpath", "/nope"))
    assert exit_.code == 100
    container = await world.start("mongo:7")
    assert (await world.exec(container, "mongosh", "--eval", "db.adminCommand('ping')"))[:2] == (0, "{ ok: 1 }\n")
