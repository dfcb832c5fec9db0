"""Commands and what they take, whose `--help` is in the player's language; `docs/translate.py` finds its texts here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from kuartui.message import later
from kuartui.translate import form, tr

#: what click says itself, as its modules have it
CLICK_SAYS = (
    "Usage:",
    "Options",
    "Commands",
    "Positional arguments",
    "Show this message and exit.",
    "env var: {var}",
    "default: {default}",
    "Error: {message}",
    "Try '{command} {option}' for help.",
    "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    "Missing argument",
    "Missing option",
    "Missing command.",
    "No such option {name!r}.",
    "No such command {name!r}.",
    "Option {name!r} does not take a value.",
    "{value!r} is not a valid {number_type}.",
    "{value} is not in the range {range}.",
    "Error: invalid input",
)
CLICK_COUNTS = (  # one, many
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
)


def teach_click() -> None:
    """Have click take its own words from our catalogue. It asks the locale of the process for them, which need not be
    the player's language, and programs that we start would follow it."""
    for module in (click.core, click.exceptions, click.formatting, click.parser, click.termui, click.types):
        vars(module).update(_=tr, ngettext=form)


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

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, made before the language may be known."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = tr("Show this message and exit.")
        return option


class Group(Command, click.Group):
    """Commands about one thing."""


class Option(Spoken, click.Option):
    """An option."""


class Argument(Spoken, click.Argument):
    """An argument."""


class Counted:
    """What click calls a number, in help and errors: a plain attribute there, before the language may be known."""

    @property
    def name(self) -> str:
        """In the player's language."""
        return tr(later("integer"))


class Integer(Counted, click.types.IntParamType):  # type: ignore[override]
    """A number."""


class IntegerRange(Counted, click.IntRange):  # type: ignore[override]
    """A number between two others."""


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
