"""Keeps the message catalogues up to date: `python docs/translate.py`.

It finds every tr(), trn() and later() in kuartui/ the table of keys and the help of commands, merges them into
kuartui/locale/*/LC_MESSAGES/kuartui.po, compiles those, and names what is not translated yet.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from kuartui.cli import spoken
from kuartui.cli.app import app
from kuartui.tui.keys import KEYS

ROOT = Path(__file__).resolve().parents[1]
ARGUMENTS = {"tr": 1, "later": 1, "trn": 2}


def found(package: Path) -> Catalog:
    """Every message in the source, with where it is."""
    messages = Catalog(project="kuartui", charset="utf-8")
    for path in sorted(package.rglob("*.py")):
        for texts, line in calls(ast.parse(path.read_text())):
            message = texts if len(texts) > 1 else texts[0]
            messages.add(message, locations=[(f"kuartui/{path.relative_to(package)}", line)])
    for key in KEYS:
        for text in (key.word, key.help):
            messages.add(text, locations=[("kuartui/tui/keys.py", 1)])
    for text in (*spoken.CLICK_SAYS, *spoken.CLICK_COUNTS, *spoken.texts(app, click.Context(app))):
        messages.add(text, locations=[("kuartui/cli/app.py", 1)])
    return messages


def calls(tree: ast.AST) -> Iterator[tuple[tuple[str, ...], int]]:
    """The messages in one module. Babel's own extractor does not look into f-strings before Python 3.12."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ARGUMENTS:
            texts = [arg.value for arg in node.args[: ARGUMENTS[node.func.id]] if isinstance(arg, ast.Constant)]
            if len(texts) == ARGUMENTS[node.func.id]:
                yield tuple(str(text) for text in texts), node.lineno


def missing(messages: Catalog) -> list[str]:
    """What has no translation, or one that nobody has looked at."""

    def whole(item: object) -> bool:
        return all(item) if isinstance(item, tuple | list) else bool(item)

    return [str(message.id) for message in messages if message.id and (message.fuzzy or not whole(message.string))]


def main() -> int:
    template = found(ROOT / "kuartui")
    lacking = []
    for path in sorted((ROOT / "kuartui" / "locale").glob("*/LC_MESSAGES/kuartui.po")):
        with path.open("rb") as file:
            messages = read_po(file, locale=path.parents[1].name)
        template.creation_date = messages.creation_date  # a new one each time would be a conflict in each merge
        messages.update(template, no_fuzzy_matching=True)
        messages.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, messages, width=110, omit_header=False, include_lineno=False, sort_output=True)
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, messages)
        lacking += [f"{path.parents[1].name}: {message}" for message in missing(messages)]
    print("\n".join(lacking) or "everything is translated")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
