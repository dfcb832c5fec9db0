"""What each command runs in: errors become one sentence and an exit code, coroutines get their loop."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import click

from kuartui import errors
from kuartui.cli import output, spoken
from kuartui.cli.output import Format
from kuartui.cli.parameters import parameters
from kuartui.language import for_scripts
from kuartui.translate import tr

#: what ends a command as Ctrl-C does, with nothing left behind; nohup ignores one of them
TOLD_TO_END = (signal.SIGTERM, signal.SIGHUP)
P = ParamSpec("P")
T = TypeVar("T")


class Noun(spoken.Group):
    """The commands about one thing, listed as they are written."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands]


def command(app: click.Group, name: str, **options: Any) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """`@command(app, "up")`: a command whose errors end as they should; its `parameters` are those of the function.

    One whose `out` is not text writes for scripts: in English, unless its own `--lang` says otherwise."""

    def add(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            form = kwargs.get("out", Format.text)

            def act() -> None:
                # errors are raised out of it, so people still read on standard error what went wrong in their language
                with contextlib.nullcontext() if form == Format.text else for_scripts():
                    function(*args, **kwargs)

            raise click.exceptions.Exit(guard(act, form == Format.json))

        made = spoken.Command(name, callback=guarded, params=parameters(function), help=function.__doc__, **options)
        app.add_command(made)
        return guarded

    return add


def guard(action: Callable[[], object], as_json: bool = False) -> int:
    """Run it; give the exit code."""
    try:
        action()
    except errors.KuartuiError as error:
        output.fail(error, as_json)
        return error.exit_code
    except KeyboardInterrupt:
        output.note(tr("interrupted"))
        return errors.INTERRUPTED
    except click.Abort:  # a question was answered with no, or there was nobody to answer it
        output.note(tr("nothing was done"))
        return errors.INTERRUPTED
    except click.exceptions.Exit as end:
        return end.exit_code
    except OSError as error:
        from kuartui.paths import refused

        if (refusal := refused(error)) is None:
            return bug(error)
        output.fail(refusal, as_json)
        return refusal.exit_code
    except Exception as error:  # noqa: BLE001  the edge: a bug must not show a traceback to a player
        return bug(error)
    return 0


def bug(error: Exception) -> int:
    """Keep the traceback in a file, say where."""
    import traceback

    from kuartui import paths

    text = "".join(traceback.format_exception(error))
    try:
        place = paths.write_private(paths.state_dir() / "crash.log", text)
        where = tr("the details are in {path}", path=place)
    except errors.StorageError:
        where = tr("KUARTUI_DEBUG=1 shows the details")
    said = tr("kuartui has a bug: {error}", error=f"{type(error).__name__}: {error}")
    output.note(tr("error: {text}", text=said))
    output.note(tr("hint: {text}", text=tr("nothing you played is lost; {where}", where=where)))
    if os.environ.get("KUARTUI_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    return errors.BUG


def wait(coroutine: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function to its end."""
    import asyncio

    if os.environ.get("KUARTUI_DEBUG"):
        import logging

        logging.basicConfig(level=logging.DEBUG)

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in TOLD_TO_END:
            if signal.getsignal(number) != signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await coroutine()

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
