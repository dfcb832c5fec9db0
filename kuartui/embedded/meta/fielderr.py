"""Field errors, as k8s.io/apimachinery/pkg/util/validation/field words them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from kuartui.embedded.meta.gofmt import go_float, go_json
from kuartui.embedded.meta.gofmt import quote as quote  # field errors quote, and so do those who word them


class Path:
    """`Path("spec").child("containers").index(0).child("name")` is "spec.containers[0].name"."""

    __slots__ = ("text",)

    def __init__(self, text: str = "") -> None:
        self.text = text

    def child(self, *names: str) -> Path:
        inside = ".".join(names)
        return Path(f"{self.text}.{inside}" if self.text else inside)

    def index(self, index: int) -> Path:
        return Path(f"{self.text}[{index}]")

    def key(self, key: str) -> Path:
        return Path(f"{self.text}[{key}]")

    __truediv__ = child

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


PathLike = Path | str

_REASONS = {
    "Required value": "FieldValueRequired",
    "Invalid value": "FieldValueInvalid",
    "Unsupported value": "FieldValueNotSupported",
    "Forbidden": "FieldValueForbidden",
    "Duplicate value": "FieldValueDuplicate",
    "Too long": "FieldValueTooLong",
    "Too many": "FieldValueTooMany",
    "Not found": "FieldValueNotFound",
    "Internal error": "InternalError",
}


class FieldError(Struct, frozen=True):
    """`type` as printed ("Invalid value"), `value` as printed or "" where the type shows none."""

    type: str
    field: str
    value: str
    detail: str
    type_invalid: bool = False

    @property
    def reason(self) -> str:
        return "FieldValueTypeInvalid" if self.type_invalid else _REASONS[self.type]

    def body(self) -> str:
        """Without the field: `Invalid value: "x": must be …`."""
        text = f"{self.type}: {self.value}" if self.value else self.type
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.body()}"


ErrorList = list[FieldError]


def required(path: PathLike, detail: str = "") -> FieldError:
    return FieldError("Required value", str(path), "", detail)


def invalid(path: PathLike, value: Any, detail: str) -> FieldError:
    return FieldError("Invalid value", str(path), go_value(value), detail)


def without_value(path: PathLike, detail: str) -> FieldError:
    """An invalid value that is not shown."""
    return FieldError("Invalid value", str(path), "", detail)


def type_invalid(path: PathLike, value: Any, detail: str) -> FieldError:
    return FieldError("Invalid value", str(path), go_value(value), detail, type_invalid=True)


def not_supported(path: PathLike, value: Any, supported: Iterable[Any]) -> FieldError:
    values = [str(item) for item in supported]  # in the caller's order, as field.NotSupported keeps it
    detail = "supported values: " + ", ".join(quote(item) for item in values) if values else ""
    return FieldError("Unsupported value", str(path), go_value(value), detail)


def forbidden(path: PathLike, detail: str) -> FieldError:
    return FieldError("Forbidden", str(path), "", detail)


def duplicate(path: PathLike, value: Any) -> FieldError:
    return FieldError("Duplicate value", str(path), go_value(value), "")


def not_found(path: PathLike, value: Any) -> FieldError:
    return FieldError("Not found", str(path), go_value(value), "")


def too_long(path: PathLike, length: int) -> FieldError:
    """`length` is the most bytes that there may be; negative if that goes without saying."""
    if length < 0:
        return FieldError("Too long", str(path), "", "value is too long")
    noun = "byte" if length == 1 else "bytes"
    return FieldError("Too long", str(path), "", f"may not be more than {length} {noun}")


def too_many(path: PathLike, actual: int, limit: int) -> FieldError:
    """`actual` is not shown when negative, and neither is `limit`."""
    noun = "item" if limit == 1 else "items"
    detail = "has too many items" if limit < 0 else f"must have at most {limit} {noun}"
    return FieldError("Too many", str(path), "" if actual < 0 else str(actual), detail)


def internal(path: PathLike, why: str) -> FieldError:
    return FieldError("Internal error", str(path), "", why)


def go_value(value: Any) -> str:
    """A value as field.Error prints it: strings quoted, numbers plain, everything else as JSON."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return go_float(value) if isinstance(value, float) else str(value)
    return go_json(value)


def aggregate(errors: Sequence[FieldError]) -> str:
    """One error as it is, several in brackets; the same text only once."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
