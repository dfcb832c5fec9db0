"""Which of CEL's libraries an expression costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kuartui.cel_extensions import ALWAYS, libraries

LOADED = """
import sys
from kuartui.{module} import compile_cel
compile_cel({source!r}, ["x"]).evaluate({{"x": 1}})
print(sorted(name.rpartition(".")[2] for name in sys.modules if name.startswith("cel_expr_python.ext.")))
"""


def test_a_library_is_for_who_names_it() -> None:
    assert libraries("self.math == 1 && cellar.size() > 0") == ALWAYS
    named = libraries("cel.bind(x, base64.decode('aGk='), math .greatest(x.size(), 1)) > 0")
    assert [module for module, _ in named[len(ALWAYS) :]] == ["ext_bindings", "ext_encoders", "ext_math"]


@pytest.mark.parametrize("module", ["game.cel", "embedded.cel"])
def test_no_other_is_loaded(module: str) -> None:
    code = LOADED.format(module=module, source="math.least(x, 2) == 1")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['ext_math', 'ext_optional', 'ext_strings']\n"


@pytest.mark.parametrize("module", ["kuartui.game.cel", "kuartui.embedded.cel"])
def test_an_old_protobuf_beside_us_ends_no_process(module: str, tmp_path: Path) -> None:
    """As Debian's python3-protobuf: cel-expr-python asks it for what came with 4.22."""
    old = tmp_path / "google" / "protobuf"
    old.mkdir(parents=True)
    for name in ("__init__.py", "message_factory.py"):
        (old / name).touch()
    program = f"from {module} import library; library().NewEnv().compile('1 + 1 == 2').eval(data={{}})"
    path = os.pathsep.join((str(tmp_path), *sys.path))
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
