"""MySQL as tutorials use it: tables, its client's prompt, a replicated set."""

from __future__ import annotations

import pytest

from kuartui.embedded.network import Stream
from kuartui.embedded.node.runtime import Container, ExecError, Mount, Volume
from tests.embedded.containers import World

EMPTY = {"MYSQL_ALLOW_EMPTY_PASSWORD": "1"}
XTRABACKUP = "gcr.io/google-samples/xtrabackup:1.0"


async def server(world: World, image: str = "mysql:8.4", **spec: object) -> Container:
    container = await world.start(image, **{"env": EMPTY, **spec})
    await world.clock.advance(10)
    return container


async def sql(world: World, container: Container, text: str, *options: str) -> tuple[int, str, str]:
    return await world.exec(container, "mysql", *options, "-e", text)


async def test_what_is_written_is_read_also_after_a_restart(world: World) -> None:
    mounts = (Mount("/var/lib/mysql", Volume()),)
    first = await server(world, mounts=mounts)
    text = "CREATE DATABASE test; CREATE TABLE test.messages (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(250));"
    text += "INSERT INTO test.messages (text) VALUES ('it''s; me'), (NULL)"
    assert await sql(world, first, text) == (0, "", "")
    await first.stop(30)
    second = await server(world, mounts=mounts)
    rows = "id\ttext\n1\tit's; me\n2\tNULL\n"
    assert await sql(world, second, "SELECT * FROM test.messages") == (0, rows, "")
    assert (await sql(world, second, "SELECT text FROM messages WHERE id = 1", "test"))[1] == "text\nit's; me\n"
    assert (await sql(world, second, "SELECT COUNT(*) AS n FROM messages", "-D", "test"))[1] == "n\n2\n"
    await sql(world, second, "UPDATE test.messages SET text = 'x' WHERE id = 2; DELETE FROM test.messages WHERE id = 1")
    table = "+----+------+\n| id | text |\n+----+------+\n|  2 | x    |\n+----+------+\n"
    assert (await sql(world, second, "SELECT * FROM test.messages", "-t"))[1] == table
    assert "test\n" in (await sql(world, second, "SHOW DATABASES"))[1]


async def test_complaints_are_mysqls(world: World) -> None:
    container = await server(world)
    for text, complaint in (
        ("SELECT * FROM t", "1046 (3D000) at line 1: No database selected"),
        ("SELECT * FROM a.t", "1049 (42000) at line 1: Unknown database 'a'"),
        ("CREATE DATABASE mysql", "1007 (HY000) at line 1: Can't create database 'mysql'; database exists"),
        ("SELECT x", "1054 (42S22) at line 1: Unknown column 'x' in 'field list'"),
        (
            "GRANT ALL ON *.* TO x",
            "1235 (42000) at line 1: This version of MySQL doesn't yet support 'GRANT ALL ON *.* TO x'",
        ),
    ):
        assert await sql(world, container, text) == (1, "", f"ERROR {complaint}\n")
    code, _, complaint = await sql(world, container, "SELECT 1", "-h", "nowhere")
    assert (code, complaint) == (1, "ERROR 2005 (HY000): Unknown MySQL server host 'nowhere' (-2)\n")


async def test_a_removed_client_fails_in_its_container_only(world: World) -> None:
    first, second = await server(world), await server(world)
    assert (await world.exec(first, "mv", "/usr/bin/mysql", "/usr/bin/mysql.off"))[0] == 0
    assert not first.files.exists("/usr/bin/mysql")
    assert second.files.exists("/usr/bin/mysql")
    assert (await sql(world, second, "SELECT 1"))[0] == 0
    with pytest.raises(ExecError, match=r'"mysql": executable file not found in \$PATH'):
        await sql(world, first, "SELECT 1")
    assert (await world.exec(first, "mv", "/usr/bin/mysql.off", "/usr/bin/mysql"))[0] == 0
    assert (await sql(world, first, "SELECT 1"))[0] == 0


async def test_a_replica_is_cloned_follows_and_is_read_only(world: World) -> None:
    data, conf = Volume(), Volume()
    primary = await server(world, "mysql:5.7", mounts=(Mount("/var/lib/mysql", Volume()),))
    await sql(world, primary, "CREATE DATABASE test; CREATE TABLE test.t (a INT); INSERT INTO test.t VALUES (1)")
    sidecar = world.sandbox("side")
    mounts = primary.spec.mounts
    await world.start(
        XTRABACKUP, "ncat", "--listen", "3307", "-c", f"xtrabackup --backup --host={primary.sandbox.ip}",
        sandbox=sidecar, mounts=mounts,
    )  # fmt: skip
    script = (
        f"ncat --recv-only {sidecar.ip} 3307 | xbstream -x -C /var/lib/mysql; cat /var/lib/mysql/xtrabackup_binlog_info"
    )
    exit_, log = await world.run(XTRABACKUP, "bash", "-c", script, mounts=(Mount("/var/lib/mysql", data),))
    assert (exit_.code, log) == (0, "mysql-bin.000003\t154\n")
    conf.fs.write_file("/replica.cnf", b"[mysqld]\nsuper-read-only\nserver-id=101\n")
    mounts = (Mount("/var/lib/mysql", data), Mount("/etc/mysql/conf.d", conf))
    replica = await server(world, "mysql:5.7", mounts=mounts)
    assert (await sql(world, replica, "SELECT a, @@server_id FROM test.t"))[1] == "a\t@@server_id\n1\t101\n"
    follow = (
        f"CHANGE MASTER TO MASTER_LOG_FILE='x', MASTER_HOST='{primary.sandbox.ip}', MASTER_USER='root'; START SLAVE"
    )
    assert (await sql(world, replica, follow))[0] == 0
    await sql(world, primary, "INSERT INTO test.t VALUES (2)")
    await world.clock.advance(3)
    assert (await sql(world, replica, "SELECT * FROM test.t"))[1] == "a\n1\n2\n"
    assert "super-read-only" in (await sql(world, replica, "INSERT INTO test.t VALUES (3)"))[2]


async def test_a_server_outlives_nonsense(world: World) -> None:
    container = await server(world)
    stream: Stream = await world.network.connect(container.sandbox.ip, container.sandbox.ip, 3306)
    await stream.read_until(b"\n")
    await stream.write(b"AUTH root \nnonsense\n")
    assert await stream.read_until(b"\n") == b"OK\n"
    assert await stream.read() == b""
    assert (await sql(world, container, "SELECT 1"))[1] == "1\n1\n"


async def test_a_server_whose_machine_died_starts_again(world: World) -> None:
    volume = Volume()
    first = await server(world, mounts=(Mount("/var/lib/mysql", volume),))
    await sql(world, first, "CREATE DATABASE kept")
    saved = Volume()  # what was on the disk when the power went
    for path in first.files.walk("/var/lib/mysql"):
        inner = path.removeprefix("/var/lib/mysql")
        if first.files.is_dir(path):
            saved.fs.mkdir(inner)
        else:
            saved.fs.write_file(inner, first.files.read(path))
    second = await server(world, mounts=(Mount("/var/lib/mysql", saved),))
    assert "kept\n" in (await sql(world, second, "SHOW DATABASES"))[1]
