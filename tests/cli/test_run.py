"""What the machine does to a command: a full disk, a reader that went away, a directory that is not ours."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kuartui import errors, paths
from kuartui.cli import doctor, env
from kuartui.cli.app import app
from kuartui.cli.run import guard
from kuartui.cluster.host import stop_all
from kuartui.message import later
from kuartui.tui.widgets import shell

FULL = Path("/dev/full")


def run(*arguments: str, out: Path) -> tuple[int, str]:
    with out.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "kuartui", *arguments], stdout=file, stderr=subprocess.PIPE, text=True, check=False
        )
    return done.returncode, done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["level", "schema"], ["level", "show", "first-steps", "-o", "json"]])
def test_output_that_finds_no_room_is_told_in_one_sentence(arguments: list[str]) -> None:
    said = "error: cannot write to standard output: no space left on device\n"
    assert run(*arguments, out=FULL) == (errors.StorageError.exit_code, said)


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        command = [sys.executable, "-m", "kuartui", "level", "schema"]
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def in_a_shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = line.replace("kuartui", f"{shlex.quote(sys.executable)} -m kuartui", 1)
    return subprocess.run(["sh", "-c", command], env={**os.environ, **environment}, capture_output=True, check=False)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("words", "code"), [("doctor", 0), ("cluster down", 0), ("cluster kubeconfig", 4), ("level show nope", 2)]
)
def test_streams_may_be_closed(words: str, code: int, closed: str) -> None:
    done = in_a_shell(f"kuartui {words} {closed}")
    assert done.returncode == code
    assert b"bug" not in done.stdout + done.stderr
    assert b"error" not in done.stdout  # it does not go where data goes


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_narration_that_finds_no_room_holds_nothing_up() -> None:
    assert in_a_shell("kuartui cluster kubeconfig 2>/dev/full").returncode == errors.ClusterError.exit_code


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_lacks_is_no_bug(encoding: str) -> None:
    told = {"PYTHONIOENCODING": encoding}
    assert in_a_shell("kuartui level show first-steps --lang zh-CN", **told).returncode == 0
    done = in_a_shell("kuartui level show first-steps --lang zh-CN -o json", **told)
    assert json.loads(done.stdout)["title"] == "从这里开始：敲两声钟"


def test_other_bytes_of_a_path_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\n")
    (tmp_path / "kubectl").chmod(0o755)
    folder = paths.state_dir() / "embedded" / "clusters" / "kuartui"
    folder.mkdir(parents=True)
    (folder / "kubeconfig").touch()
    path = os.fsencode(f"{os.environ['PATH']}{os.pathsep}/caf") + b"\xe9"
    try:
        done = in_a_shell("kuartui env", PATH=os.fsdecode(path), KUARTUI_KUBECTL=str(tmp_path / "kubectl"))
    finally:
        stop_all()
    assert b"/caf\xe9'\n" in done.stdout, done.stderr


def test_control_c_before_all_is_loaded_is_no_traceback() -> None:
    program = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "kuartui.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from kuartui.__main__ import run
run()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (errors.INTERRUPTED, b"")


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("interrupt", [signal.SIG_DFL, signal.SIG_IGN])  # shells ignore it for what runs behind
def test_what_is_told_to_end_leaves_nothing_behind(
    number: signal.Signals, interrupt: signal.Handlers, tmp_path: Path
) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        proof = subprocess.Popen(
            [sys.executable, "-m", "kuartui", "level", "prove", "first-steps"],
            env={**os.environ, "TMPDIR": str(place)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    while not list(place.glob("kuartui-proof-*")):
        assert proof.poll() is None
        time.sleep(0.02)
    proof.send_signal(number)
    _, said = proof.communicate(timeout=30)
    assert (proof.returncode, said) == (errors.INTERRUPTED, b"interrupted\n")
    assert list(place.iterdir()) == []


def test_a_home_is_the_same_from_everywhere(home: Path) -> None:
    done = in_a_shell(f"cd {home} && kuartui cluster status -o json", KUARTUI_HOME="mine")
    assert json.loads(done.stdout)["kubeconfig"].startswith(f"{home}/mine/state/")


@pytest.mark.parametrize("place", ["/a:b", os.fsdecode(b"/caf\xe9")])
def test_a_home_that_kubectl_cannot_be_told_of_is_refused(place: str) -> None:
    done = in_a_shell("kuartui cluster status", KUARTUI_HOME=place)
    assert done.returncode == errors.StorageError.exit_code
    assert b"cannot hold kuartui's files" in done.stderr


@pytest.mark.parametrize(
    ("told", "used"),
    [
        *((told, "/bin/sh") for told in ("/nope/sh", "/bin/sh -x", "/")),
        ("", shutil.which("bash") or "/bin/sh"),
    ],
)
def test_every_place_opens_the_same_shell(
    told: str, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", told)
    found = next(found for found in doctor.look_at_terminal() if found.what == "shell")
    assert (found.ok, found.fix) == (None, f"set SHELL; {used} is used")
    assert used in shell.command(tmp_path, os.environ["PATH"], "market", tmp_path, tmp_path)
    opened: list[str] = []
    monkeypatch.setattr(env, "variables", lambda *_: {"KUBECONFIG": "k"})
    monkeypatch.setattr(os, "execvpe", lambda program, *_: opened.append(program))
    assert CliRunner().invoke(app, ["shell"]).exit_code == 0
    assert opened == [used]


def test_commands_that_are_proposed_can_be_pasted(tmp_path: Path) -> None:
    place = tmp_path / "my levels"
    place.mkdir()
    done = in_a_shell(f"cd '{place}' && kuartui level new mine --pack '{place}'")
    assert f"  kuartui level prove '{place}/drafts/mine'\n".encode() in done.stdout
    played = in_a_shell(f"kuartui play '{place}/drafts/mine'")
    assert played.stderr.endswith(f"  kuartui level start '{place}/drafts/mine'\n".encode())


def test_a_name_may_be_too_long_for_a_file() -> None:
    done = in_a_shell(f"kuartui level show {'a' * 5000}")
    assert done.returncode == errors.UsageError.exit_code
    assert done.stderr.startswith(b"error: no level 'aaa")
    refusal = OSError(errno.ENAMETOOLONG, "File name too long", "/aaa")
    assert failing(refusal) == errors.StorageError.exit_code


def failing(error: Exception) -> int:
    def action() -> None:
        raise error

    return guard(action)


def test_what_the_machine_refuses_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = PermissionError(errno.EACCES, "Permission denied", "/home/anna/packs")
    assert failing(refusal) == errors.StorageError.exit_code
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: cannot use /home/anna/packs: permission denied"
    assert second.startswith("hint: make it usable for you, or set KUARTUI_HOME")


def test_our_own_mistakes_with_files_are_bugs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    ours = FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")
    assert failing(ours) == errors.BUG
    assert f"the details are in {tmp_path}" in capsys.readouterr().err
    (tmp_path / "file").touch()
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "file"))
    assert failing(ours) == errors.BUG
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "KUARTUI_DEBUG=1 shows the details" in told


def test_doctor_goes_on_where_a_file_is_refused() -> None:
    def look() -> Iterator[doctor.Finding]:
        yield doctor.Finding(later("data directory"), True, "/x")
        raise PermissionError(errno.EACCES, "Permission denied", "/x/cluster.json")

    first, second = doctor.looked(look)
    assert first.ok
    assert (second.ok, second.found) == (False, "cannot use /x/cluster.json: permission denied")
