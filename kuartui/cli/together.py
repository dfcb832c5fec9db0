"""Options that do not go together: said at once, where one of them would be dropped in silence."""

from __future__ import annotations

import click
from click.core import ParameterSource

from kuartui.errors import UsageError
from kuartui.message import later


def given(*parameters: str) -> list[str]:
    """Which of these the command was given on its command line, as they are written there: --dry-run for dry_run."""
    context = click.get_current_context()
    typed = [name for name in parameters if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    written = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [written[name] for name in typed]


def refused(option: str, other: str, hint: str) -> UsageError:
    """The error of two of them."""
    return UsageError(later("{option} and {other} do not go together", option=option, other=other), hint=hint)
