"""Names of fields that CEL could not read.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
"""

from __future__ import annotations

_KEYWORDS = {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"} | {
    "let", "loop", "package", "namespace", "return", "var", "void", "while"
}  # fmt: skip


def escape(name: str) -> str:
    """A property's name as CEL's: `a.b` is `a__dot__b`, `namespace` is `__namespace__`."""
    if name in _KEYWORDS:
        return f"__{name}__"
    name = name.replace("__", "__underscores__")
    return name.replace(".", "__dot__").replace("-", "__dash__").replace("/", "__slash__")
