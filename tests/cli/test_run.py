"""What the machine does to a command: a full disk, a reader that went away, a directory that is not ours."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kuartui import errors, paths
from kuartui.cli import doctor
from kuartui.cli.run import guard
from kuartui.message import later

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
