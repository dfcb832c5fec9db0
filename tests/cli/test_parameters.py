"""Commands take what the annotations of their functions say."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import click
import pytest
from click.testing import CliRunner, Result

from kuartui.cli.app import NOUNS, VERBS, app
from kuartui.cli.parameters import Argument, Option, parameters
from kuartui.cli.run import Noun, command


class Colour(StrEnum):
    red = "red"
    blue = "blue"


def run(*arguments: str, code: int = 0) -> tuple[dict[str, Any], Result]:
    """What the command below was given, and what it said."""
    given: dict[str, Any] = {}
    group = Noun(help="About things.")

    @command(group, "paint")
    def paint(
        what: Annotated[Path, Argument(metavar="WHAT", help="A wall.")],
        rest: Annotated[list[str] | None, Argument(help="More walls.")] = None,
        layer_count: Annotated[int, Option(min=1, max=3, help="How often.")] = 1,
        seed: Annotated[int | None, Option(help="Of the pattern.")] = None,
        quick: Annotated[bool, Option("--quick", "-q", help="Do not wait.")] = False,
        colour: Annotated[Colour, Option("--colour", "-c", envvar="PAINT_COLOUR", help="Which.")] = Colour.red,
    ) -> None:
        """Paint. Walls."""
        given.update(
            what=what, rest=rest, layer_count=layer_count, seed=seed, quick=quick, colour=colour, kind=type(colour)
        )

    @command(group, "dry")
    def dry() -> None:
        """Wait."""

    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == code, result.output
    return given, result


def test_defaults_and_values() -> None:
    given, _ = run("paint", "wall")
    assert given == {
        "what": Path("wall"),
        "rest": [],
        "layer_count": 1,
        "seed": None,
        "quick": False,
        "colour": Colour.red,
        "kind": Colour,
    }
    given, _ = run("paint", "-q", "--layer-count", "3", "--seed=7", "-c", "blue", "wall", "door", "roof")
    assert (given["rest"], given["layer_count"], given["seed"]) == (["door", "roof"], 3, 7)
    assert (given["quick"], given["colour"], given["kind"]) == (True, "blue", Colour)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINT_COLOUR", "blue")
    assert run("paint", "wall")[0]["colour"] is Colour.blue


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["paint"], "Missing argument 'WHAT'"),
        (["paint", "wall", "--layer-count", "4"], "4 is not in the range 1<=x<=3"),
        (["paint", "wall", "-c", "green"], "'green' is not one of 'red', 'blue'"),
        (["paint", "wall", "--seed", "x"], "'x' is not a valid integer"),
        (["scrape"], "No such command 'scrape'"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], said: str) -> None:
    assert said in run(*arguments, code=2)[1].stderr


def test_help() -> None:
    text = run("paint", "-h", code=2)[1].stderr  # only the root knows -h
    assert "No such option" in text
    text = run("paint", "--help")[1].stdout
    assert "A wall." in text
    assert "[env var: PAINT_COLOUR; default: red]" in text
    assert "[default: 1; 1<=x<=3]" in text
    assert "default: None" not in text
    listed = run("--help")[1].stdout
    assert listed.index("paint") < listed.index("dry")


def test_what_is_not_annotated_is_a_mistake_of_ours() -> None:
    def lost(name: str) -> None: ...

    with pytest.raises(TypeError, match="name: not annotated"):
        parameters(lost)


def test_every_command_is_there_and_explains_itself() -> None:
    context = click.Context(app)
    for name in (*VERBS, *NOUNS):
        found = app.get_command(context, name)
        assert found is not None
        assert found.help
        commands = found.commands.values() if isinstance(found, click.Group) else [found]
        assert all(one.help for one in commands)
    assert app.get_command(context, "nothing") is None


def test_completion() -> None:
    result = CliRunner().invoke(app, ["--show-completion", "zsh"])
    assert result.exit_code == 0
    assert "_KUARTUI_COMPLETE=zsh_complete kuartui" in result.stdout
    asked = {"_KUARTUI_COMPLETE": "bash_complete", "COMP_WORDS": "kuartui cluster s", "COMP_CWORD": "2"}
    with pytest.MonkeyPatch.context() as environment:
        for key, value in asked.items():
            environment.setenv(key, value)
        result = CliRunner().invoke(app, [], prog_name="kuartui", complete_var="_KUARTUI_COMPLETE")
    assert result.stdout.splitlines() == ["plain,status", "plain,serve"]
