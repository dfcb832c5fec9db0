"""`kuartui`: the root of the command line. Without a command it opens the home screen."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module

import click

import kuartui
from kuartui.cli import output, spoken, tongue
from kuartui.cli.run import TOLD_TO_END, guard
from kuartui.errors import UsageError
from kuartui.message import later

VERBS = {"play": "play", "serve": "serve", "shell": "env", "env": "env", "kubectl": "env", "doctor": "doctor"}
NOUNS = ("level", "exam", "pack", "cluster", "bundle", "image", "progress")
HOME_VARIABLE = "KUARTUI_HOME"  # as in paths, which is loaded only where it is needed
COMPLETION = "_KUARTUI_COMPLETE"  # the variable in which click's scripts for shells ask


class Root(spoken.Group):
    """All commands. The module of one is loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of the help."""
        return [*VERBS, *NOUNS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by name; None if there is none."""
        if cmd_name in VERBS and cmd_name not in self.commands:
            import_module(f"kuartui.cli.{VERBS[cmd_name]}").add_to(self)
        elif cmd_name in NOUNS and cmd_name not in self.commands:
            self.add_command(import_module(f"kuartui.cli.{cmd_name}").app, cmd_name)
        return super().get_command(ctx, cmd_name)


def _speak(_context: click.Context, _parameter: click.Parameter, lang: str) -> None:
    if not lang:
        return
    from kuartui.language import speak

    if code := guard(lambda: speak(lang)):
        raise click.exceptions.Exit(code)


def _completion(context: click.Context, _parameter: click.Parameter, shell: str | None) -> None:
    if shell is None:
        return
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is not None:
        output.line(kind(app, {}, "kuartui", COMPLETION).source(), exactly=True)
    context.exit()


@click.group(
    cls=Root,
    name="kuartui",
    help="Get good at Kubernetes without leaving the terminal. Without a command: the home screen.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--cluster",
    cls=spoken.Option,
    default="embedded",
    envvar="KUARTUI_CLUSTER",
    show_default=True,
    show_envvar=True,
    help="Where to play.",
)
@click.option(
    "--lang",
    cls=spoken.Option,
    default="",
    is_eager=True,  # before --help, which is told in it
    expose_value=False,
    callback=_speak,
    help="The language: en, zh-CN; default: $KUARTUI_LANG, your locale's.",
)
@click.version_option(
    kuartui.__version__, message="kuartui %(version)s", cls=spoken.Option, help="Show the version and exit."
)
@click.option(
    "--show-completion",
    cls=spoken.Option,
    type=click.Choice(["bash", "zsh", "fish"]),
    expose_value=False,
    is_eager=True,
    callback=_completion,
    help="Print what completes kuartui's commands in a shell: source <(kuartui --show-completion bash).",
)
@click.pass_context
def app(context: click.Context, cluster: str) -> None:
    """The command line."""
    if context.invoked_subcommand != "kubectl":  # each kubectl of the player would say it
        tongue.tell_unheard()
    given = context.get_parameter_source("cluster") is click.core.ParameterSource.COMMANDLINE
    if given and context.invoked_subcommand is not None:
        told = f"kuartui {context.invoked_subcommand} … --cluster {cluster}"
        refused = UsageError(later("--cluster goes behind the command that is to use it"), hint=told)
        output.fail(refused)
        raise click.exceptions.Exit(refused.exit_code)
    if context.invoked_subcommand is None:
        from kuartui.cli import play

        raise click.exceptions.Exit(guard(lambda: play.home(cluster)))


def main() -> None:
    """Entry point of the `kuartui` command."""
    for number in TOLD_TO_END:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    output.settle_streams()
    spoken.teach_click()
    gc.set_threshold(20_000, 20, 20)  # to look for garbage while modules load takes a tenth of the time, and finds none
    raise SystemExit(guard(_run))


def _run() -> None:
    if HOME_VARIABLE in os.environ:
        from kuartui.paths import settle_home

        settle_home()
    with output.standard_output():
        try:
            app(prog_name="kuartui", complete_var=COMPLETION)
        finally:
            sys.stdout.flush()


if __name__ == "__main__":
    main()
