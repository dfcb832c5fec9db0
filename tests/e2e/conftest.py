"""Whole-program tests: the installed `kuartui`, the real kubectl, an embedded cluster process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# -P: the installed package, never a checkout that is the working directory. Its release would differ, and a command would
# replace the embedded Kubernetes under the test.
COMMAND = [sys.executable, "-P", "-m", "kuartui"]
Done = subprocess.CompletedProcess[str]


class Kuartui:
    """Runs the command line in a home of its own, with the kubectl that the tests are written for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "KUARTUI", "XDG"))}
        self.environment = kept | {
            "HOME": str(home),
            "KUARTUI_HOME": str(home / "kuartui"),
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }

    def __call__(self, *arguments: str, check: bool = True, stdin: str = "", **extra: str) -> Done:
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment | extra,
            timeout=120,
            cwd=self.home,
        )
        if check:
            assert done.returncode == 0, f"kuartui {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, check: bool = True) -> object:
        """What a command says with `--output json`."""
        return json.loads(self(*arguments, "--output", "json", check=check).stdout)

    def kubectl(self, *arguments: str, check: bool = True, stdin: str = "") -> Done:
        return self("kubectl", "--", *arguments, check=check, stdin=stdin)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run a command beside the test."""
        return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env=self.environment)

    def type(self, line: str) -> None:
        """Run a shell line as the player of the attempt would."""
        variables = self.json("env")
        assert isinstance(variables, dict)
        subprocess.run(["sh", "-ec", line], check=True, env=self.environment | variables, cwd=self.home, stdout=-3)


@pytest.fixture(scope="module")
def kuartui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kuartui]:
    """The command line in the module's home; the cluster process ends with the module."""
    run = Kuartui(tmp_path_factory.mktemp("home"))
    yield run
    run("cluster", "down", "--all", check=False)


@pytest.fixture(scope="module")
def kubectl(kuartui: Kuartui) -> Callable[..., Done]:
    """`kubectl("get", "nodes")` on an embedded cluster that is up."""
    kuartui("cluster", "up")
    return kuartui.kubectl


@pytest.fixture
def stranger(tmp_path: Path) -> Kuartui:
    """The command line in an empty home, for what must fail at once."""
    return Kuartui(tmp_path)
