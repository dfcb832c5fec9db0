"""Commands and what they take, whose `--help` is in the player's language; `docs/translate.py` finds its texts here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from kuartui.translate import tr


class Spoken:
    """What click shows of it is translated when it is asked for: the language is chosen after modules are loaded."""

    _told: str | None = None

    @property
    def help(self) -> str | None:
        """In the player's language."""
        return tr(self._told) if self._told else self._told

    @help.setter  # noqa: A003
    def help(self, text: str | None) -> None:
        self._told = inspect.cleandoc(text) if text else text


class Command(Spoken, click.Command):
    """A command."""


class Group(Spoken, click.Group):
    """Commands about one thing."""


class Option(Spoken, click.Option):
    """An option."""


class Argument(Spoken, click.Argument):
    """An argument."""


def texts(command: click.Command, context: click.Context) -> Iterator[str]:
    """All help of a command and of those in it, in English."""
    for thing in (command, *command.params):
        if isinstance(thing, Spoken) and thing._told:
            yield thing._told
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from texts(inner, click.Context(inner, info_name=name, parent=context))
