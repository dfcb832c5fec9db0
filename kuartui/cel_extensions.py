"""The libraries of cel-expr-python that an expression is compiled with.

Those whose every name begins in one way are loaded for who names them: each is 2.5 MiB, which few expressions need.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any

#: module and class of a library, and the word before the dot in all that it has
NAMED = {
    ("ext_bindings", "ExtBindings"): "cel",
    ("ext_encoders", "ExtEncoders"): "base64",
    ("ext_math", "ExtMath"): "math",
}
ALWAYS = (("ext_optional", "ExtOptional"), ("ext_strings", "ExtStrings"))

Libraries = tuple[tuple[str, str], ...]


def library() -> Any:
    """cel-expr-python. It looks for Python's protobuf, which nothing here has to do with, and aborts the process where
    that is older than 4.22: so it finds none."""
    sys.modules.setdefault("google.protobuf", None)  # type: ignore[arg-type]  # an import of it fails
    from cel_expr_python import cel

    return cel


def libraries(source: str) -> Libraries:
    """Those that an expression is to have: optionals, strings, and what it names."""
    return (*ALWAYS, *(library for library, word in NAMED.items() if re.search(rf"\b{word}\s*\.", source)))


def extensions(wanted: Libraries) -> list[Any]:
    """As `cel.NewEnv` takes them."""
    return [getattr(import_module(f"cel_expr_python.ext.{module}"), name)() for module, name in wanted]
