"""`kuartui`: the root of the command line. Without a command it opens the home screen."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import kuartui
from kuartui.cli import bundle, cluster, doctor, env, image, level, output, pack, play, progress, serve
from kuartui.cli.run import guard
from kuartui.language import speak

app = typer.Typer(
    name="kuartui",
    help="Get good at Kubernetes without leaving the terminal. Without a command: the home screen.",
    no_args_is_help=False,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(level.app, name="level")
app.add_typer(pack.app, name="pack")
app.add_typer(cluster.app, name="cluster")
app.add_typer(bundle.app, name="bundle")
app.add_typer(image.app, name="image")
app.add_typer(progress.app, name="progress")
play.add_to(app)
serve.add_to(app)
env.add_to(app)
doctor.add_to(app)


def _version(asked: bool) -> None:
    if asked:
        output.line(f"kuartui {kuartui.__version__}")
        raise typer.Exit


def _speak(lang: str) -> None:
    speak(lang)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    cluster: Annotated[str, typer.Option(help="Where to play.", envvar="KUARTUI_CLUSTER")] = "embedded",
    lang: Annotated[str, typer.Option(help="The language: en, zh-CN; default: $KUARTUI_LANG, your locale's.")] = "",
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,  # noqa: ARG001
) -> None:
    if lang and (code := guard(lambda: _speak(lang))):
        raise typer.Exit(code)
    if context.invoked_subcommand is None:
        raise typer.Exit(guard(lambda: play.home(cluster)))


def main() -> None:
    """Entry point of the `kuartui` command."""
    try:
        app()
    except BrokenPipeError:  # the reader of our output went away, as in `kuartui level list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
