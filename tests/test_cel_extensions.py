"""Which of CEL's libraries an expression costs."""

from __future__ import annotations

import subprocess
import sys

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
