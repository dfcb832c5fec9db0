"""The player's shell starts with kubectl ready, after their own set-up, whichever shell it is."""

from __future__ import annotations

import os
import shutil
import subprocess
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
