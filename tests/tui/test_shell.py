"""The player's shell starts with kubectl ready, after their own set-up, whichever shell it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kuartui.tui.widgets.shell import command


@pytest.mark.parametrize(("shell", "rc"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_a_shell_has_the_players_setup_and_ours(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, rc: str
) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} here")
    monkeypatch.setenv("SHELL", found)
    monkeypatch.delenv("ZDOTDIR", raising=False)
    (home / rc).write_text("export MINE=theirs KUBECONFIG=/elsewhere\n")
    where = tmp_path / "files"
    where.mkdir()
    start = command(Path("/k/config"), os.environ["PATH"], "market", tmp_path, where)
    script = 'echo "$MINE $KUBECONFIG $PWD"; alias k; echo "<$KUARTUI_PATH>"\nexit\n'
    done = subprocess.run(start, input=script, capture_output=True, text=True, timeout=60)
    assert f"theirs /k/config {tmp_path}" in done.stdout
    assert "kubectl" in done.stdout
    assert "<>" in done.stdout


def test_a_shell_in_a_browser_is_an_ordinary_terminal(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What textual-serve tells the app is not for a kuartui, or a pager, that is started in it."""
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.web_driver:WebDriver")
    monkeypatch.setenv("COLUMNS", "200")
    start = command(Path("/k/config"), os.environ["PATH"], "market", tmp_path, tmp_path)
    done = subprocess.run(start, input="env\n", capture_output=True, text=True, timeout=60)
    assert "KUBECONFIG=/k/config" in done.stdout
    assert "TEXTUAL" not in done.stdout
    assert "COLUMNS=200" not in done.stdout


@pytest.mark.parametrize("library", [True, False], ids=["with bash-completion", "without"])
def test_tab_completes_words_of_kubectl(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: bool
) -> None:
    bash = shutil.which("bash")
    if bash is None or shutil.which("kubectl") is None:
        pytest.skip("needs bash and kubectl")
    if library and not Path("/usr/share/bash-completion/bash_completion").exists():
        pytest.skip("no bash-completion here")
    monkeypatch.setenv("SHELL", bash)
    start = command(Path("/k/config"), os.environ["PATH"], "market", tmp_path, tmp_path)
    rc = tmp_path / "bashrc"
    if not library:
        rc.write_text(rc.read_text().replace("/usr/share/bash-completion", "/nowhere"))
    script = "COMP_WORDS=(kubectl annot) COMP_CWORD=1 COMP_LINE='kubectl annot' COMP_POINT=13; __start_kubectl\n"
    script += 'echo "<${COMPREPLY[*]% }>"\nexit\n'
    done = subprocess.run(start, input=script, capture_output=True, text=True, timeout=60)
    assert "<annotate>" in done.stdout


def test_shells_share_their_start_up_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none for each: who is killed leaves nothing behind."""
    where = tmp_path / "shell"
    for shell, rc in (("bash", "bashrc"), ("zsh", ".zshrc")):
        monkeypatch.setattr("kuartui.tui.widgets.shell.own_shell", lambda shell=shell: f"/bin/{shell}")
        command(Path("/k/config"), os.environ["PATH"], "market", tmp_path, where)
        before = (where / rc).stat()
        command(Path("/other/config"), os.environ["PATH"], "market", tmp_path, where)
        assert (where / rc).stat() == before
        assert (before.st_mode & 0o777, "alias k=kubectl" in (where / rc).read_text()) == (0o600, True)
        (where / rc).write_text("of an earlier version")
        command(Path("/k/config"), os.environ["PATH"], "market", tmp_path, where)
        assert "alias k=kubectl" in (where / rc).read_text()
    assert sorted(item.name for item in where.iterdir()) == [".zshrc", "bashrc"]


@pytest.mark.parametrize(("own", "has"), [({"LC_ALL": "zh_CN.UTF-8"}, "zh_CN.UTF-8"), ({}, "")])
def test_a_players_own_locale_stays(own: dict[str, str], has: str) -> None:
    """The library, which is loaded first, sets one of its own where there is none."""
    code = (
        "import subprocess, bittty.pty.unix as unix, kuartui.tui.widgets.shell as shell\n"
        "from pathlib import Path\n"
        "line = shell.command(Path('k'), '/bin:/usr/bin', 'market', Path('/'), Path('/'))\n"
        "line = [*line[:line.index('/bin/sh')], 'sh', '-c', 'printf %s \"$LC_ALL\"']\n"
        "print(subprocess.run(line, env=unix.UNIX_ENV, capture_output=True, text=True).stdout)"
    )
    kept = {name: value for name, value in os.environ.items() if name != "LC_ALL"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "SHELL": "/bin/sh", **own},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == has


def test_a_shell_that_is_none_is_sh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/nope/sh")
    assert "/bin/sh" in command(Path("/k/config"), os.environ["PATH"], "market", tmp_path, tmp_path)
