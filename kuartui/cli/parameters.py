"""What a command takes, from the annotations of its function, as Typer does it:

    def up(name: Annotated[str, Option("--name", help="Which cluster.")] = "kuartui") -> None: ...

Ours, because Typer loads pydantic for each command that is run: on a small machine a fifth of a second.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import click

from kuartui.cli import spoken

LARGEST = 2**31 - 1  # of numbers that are stored or counted to


class Option:
    """An option. `names` as "--output", "-o"; without, that of the parameter. A `bool` is a flag, an Enum a choice."""

    def __init__(  # named as in click
        self,
        *names: str,
        help: str = "",  # noqa: A002
        envvar: str = "",
        min: int | None = None,  # noqa: A002
        max: int | None = None,  # noqa: A002
    ) -> None:
        self.names, self.help, self.envvar, self.min, self.max = names, help, envvar, min, max


class Argument:
    """What has no name on the command line; a list takes all that is left."""

    def __init__(self, *, metavar: str | None = None, help: str = "") -> None:  # noqa: A002
        self.metavar, self.help = metavar, help


def parameters(function: Callable[..., Any]) -> list[click.Parameter]:
    """The click parameters of a function, each of whose own is annotated with an Option or an Argument."""
    return [_parameter(found) for found in inspect.signature(function, eval_str=True).parameters.values()]


def _parameter(found: inspect.Parameter) -> click.Parameter:
    if get_origin(found.annotation) is not Annotated:
        raise TypeError(f"{found.name}: not annotated with an Option or an Argument")
    kind, told = get_args(found.annotation)
    kind = next((some for some in get_args(kind) if some is not NoneType), kind) if NoneType in get_args(kind) else kind
    many = get_origin(kind) is list
    required = found.default is inspect.Parameter.empty
    more: dict[str, Any] = {"required": required, "help": told.help}
    if not required and found.default is not None:
        more["default"] = found.default
    if isinstance(told, Argument):
        if many:
            more = {**more, "nargs": -1, "callback": _listed}
        return spoken.Argument([found.name], type=_type(str if many else kind), metavar=told.metavar, **more)
    names = [*(told.names or [f"--{found.name.replace('_', '-')}"]), found.name]
    if kind is bool:
        return spoken.Option(names, is_flag=True, **more)
    more["show_default"] = not required and found.default not in ("", None)
    more |= {"envvar": told.envvar, "show_envvar": True} if told.envvar else {}
    return spoken.Option(names, type=_type(kind, told), **more)


def _listed(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> list[str]:
    return [*value]


def _type(kind: Any, told: Option | None = None) -> click.ParamType[Any]:
    if issubclass(kind, Enum):
        return click.Choice(kind)
    if kind is Path:
        return click.Path(path_type=Path)
    if kind is int:
        bounded = told is not None and (told.min, told.max) != (None, None)
        return spoken.IntegerRange(told.min, told.max) if told and bounded else spoken.Integer()
    return click.STRING
