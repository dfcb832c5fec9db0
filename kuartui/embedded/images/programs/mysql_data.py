"""What a mysqld keeps, and the part of SQL that tutorials type: databases, tables, rows; no joins, no types but numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from kuartui.embedded.node.runtime.process import Process

Obj = dict[str, Any]
Value = int | float | str | None

FILE = "kuartui.tables"
SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")
READ_ONLY = "The MySQL server is running with the --super-read-only option so it cannot execute this statement"
NAME = r"`?([\w$-]+)`?"
TABLE = rf"(?:{NAME}\.)?{NAME}"
WHERE = r"(?:\s+where\s+`?(\w+)`?\s*=\s*(\S.*?))?"
NO_COLUMN = ("primary", "key", "index", "unique", "constraint", "foreign", "fulltext", "check")
NUMBERS = (
    "int",
    "tinyint",
    "smallint",
    "mediumint",
    "bigint",
    "decimal",
    "float",
    "double",
    "numeric",
    "serial",
    "bool",
)
STATEMENTS = {
    "create_database": rf"create\s+(?:database|schema)\s+(if\s+not\s+exists\s+)?{NAME}.*",
    "drop_database": rf"drop\s+(?:database|schema)\s+(if\s+exists\s+)?{NAME}",
    "use": rf"use\s+{NAME}",
    "create_table": rf"create\s+table\s+(if\s+not\s+exists\s+)?{TABLE}\s*\((.*)\)[^()]*",
    "drop_table": rf"drop\s+table\s+(if\s+exists\s+)?{TABLE}",
    "insert": rf"insert\s+into\s+{TABLE}\s*(\([^()]*\))?\s*values?\s*(\(.*\))",
    "update": rf"update\s+{TABLE}\s+set\s+`?(\w+)`?\s*=\s*(\S.*?){WHERE}",
    "delete": rf"delete\s+from\s+{TABLE}{WHERE}",
    "show": r"show\s+(databases|schemas|tables)",
    "select": rf"select\s+(.+?)(?:\s+from\s+{TABLE}{WHERE}(?:\s+order\s+by\s+`?(\w+)`?(\s+asc|\s+desc)?)?)?(?:\s+limit\s+(\d+))?",
}


class SqlError(Exception):
    """What the server answers instead: a number, the state of SQL, a sentence."""

    def __init__(self, code: int, state: str, text: str) -> None:
        super().__init__(text)
        self.code, self.state, self.text = code, state, text


def statements(text: str) -> list[str]:
    """The statements of a text, by their semicolons."""
    found = re.findall(r"""(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|[^;'"])+""", text)
    return [one.strip() for one in found if one.strip()]


class Tables:
    """All databases of one server. `version` counts the writes: a replica that has fewer asks for all."""

    def __init__(self, process: Process, data: str) -> None:
        self._process = process
        self._path = f"{data}/{FILE}"
        self.kept: Obj = {"version": 0, "databases": {}}
        if process.files.exists(self._path):
            self.kept = json.loads(process.files.read(self._path))

    @property
    def version(self) -> int:
        """How many writes there were."""
        return int(self.kept["version"])

    def take(self, kept: Obj) -> None:
        """Have what another server has."""
        self.kept = kept
        self._process.files.write(self._path, json.dumps(kept).encode(), self._process.user)

    def written(self) -> None:
        """Keep what was changed."""
        self.take(self.kept | {"version": self.version + 1})


class Session:
    """One client: the database it uses, and what its expressions mean."""

    def __init__(self, tables: Tables, variables: dict[str, Callable[[], Value]], *, read_only: bool) -> None:
        self._tables = tables
        self._variables = variables
        self._read_only = read_only
        self.database = ""

    def execute(self, statement: str) -> Obj:
        """Run one statement: `columns` and `rows`, or how many rows it `affected`, or the `database` now used. Raises
        SqlError."""
        for name, pattern in STATEMENTS.items():
            found = re.fullmatch(pattern, statement.strip(), re.IGNORECASE | re.DOTALL)
            if found:
                if name not in ("use", "show", "select") and self._read_only:
                    raise SqlError(1290, "HY000", READ_ONLY)
                answer: Obj = getattr(self, f"_{name}")(*found.groups())
                return answer
        words = " ".join(statement.split())
        raise SqlError(1235, "42000", f"This version of MySQL doesn't yet support '{words[:80]}'")

    def _create_database(self, lenient: str | None, name: str) -> Obj:
        if name in self._databases or name in SYSTEM:
            if lenient:
                return {"affected": 1}
            raise SqlError(1007, "HY000", f"Can't create database '{name}'; database exists")
        self._databases[name] = {}
        self._tables.written()
        return {"affected": 1}

    def _drop_database(self, lenient: str | None, name: str) -> Obj:
        if name not in self._databases and not lenient:
            raise SqlError(1008, "HY000", f"Can't drop database '{name}'; database doesn't exist")
        gone = self._databases.pop(name, {})
        self._tables.written()
        return {"affected": len(gone)}

    def _use(self, name: str) -> Obj:
        if name not in self._databases and name not in SYSTEM:
            raise SqlError(1049, "42000", f"Unknown database '{name}'")
        self.database = name
        return {"database": name}

    def _create_table(self, lenient: str | None, database: str | None, name: str, definition: str) -> Obj:
        tables = self._of(database)
        if name in tables and not lenient:
            raise SqlError(1050, "42S01", f"Table '{name}' already exists")
        words = [part.replace("`", "").split() for part in _split(definition)]
        columns = [one for one in words if len(one) > 1 and one[0].lower() not in NO_COLUMN]
        numbers = [one[0] for one in columns if one[1].partition("(")[0].lower() in NUMBERS]
        counted = [one[0] for one in columns if "auto_increment" in (word.lower() for word in one)]
        table = {"columns": [one[0] for one in columns], "numbers": numbers, "counted": counted, "rows": []}
        tables.setdefault(name, table)
        self._tables.written()
        return {"affected": 0}

    def _drop_table(self, lenient: str | None, database: str | None, name: str) -> Obj:
        if self._of(database).pop(name, None) is None and not lenient:
            raise SqlError(1051, "42S02", f"Unknown table '{database or self.database}.{name}'")
        self._tables.written()
        return {"affected": 0}

    def _insert(self, database: str | None, name: str, listed: str | None, values: str) -> Obj:
        table = self._table(database, name)
        columns = [word.strip(" `") for word in listed[1:-1].split(",")] if listed else table["columns"]
        for column in columns:
            self._known(table, column)
        made = []
        for number, row in enumerate(_split(values), 1):
            given = [self._value(word) for word in _split(row.strip()[1:-1])]
            if len(given) != len(columns):
                raise SqlError(1136, "21S01", f"Column count doesn't match value count at row {number}")
            by_name = dict(zip(columns, given, strict=True))
            for column in table["counted"]:
                by_name[column] = by_name.get(column) or len(table["rows"]) + number
            made.append([_as_number(by_name.get(one), one in table["numbers"]) for one in table["columns"]])
        table["rows"] += made
        self._tables.written()
        return {"affected": len(made)}

    def _update(
        self, database: str | None, name: str, column: str, text: str, where: str | None, value: str | None
    ) -> Obj:
        table = self._table(database, name)
        at = self._known(table, column)
        rows = self._where(table, where, value)
        for row in rows:
            row[at] = _as_number(self._value(text), column in table["numbers"])
        self._tables.written()
        return {"affected": len(rows)}

    def _delete(self, database: str | None, name: str, where: str | None, value: str | None) -> Obj:
        table = self._table(database, name)
        gone = self._where(table, where, value)
        table["rows"] = [row for row in table["rows"] if not any(row is one for one in gone)]
        self._tables.written()
        return {"affected": len(gone)}

    def _show(self, what: str) -> Obj:
        if what.lower() == "tables":
            found = sorted(self._of(None))
            return {"columns": [f"Tables_in_{self.database}"], "rows": [[name] for name in found]}
        return {"columns": ["Database"], "rows": [[name] for name in sorted([*SYSTEM, *self._databases])]}

    def _select(
        self, what: str, database: str | None, name: str | None, where: str | None, value: str | None,
        by: str | None, direction: str | None, limit: str | None,
    ) -> Obj:  # fmt: skip
        table: Obj = {"columns": [], "numbers": [], "rows": [[]]} if name is None else self._table(database, name)
        rows = self._where(table, where, value)
        if by:
            at = self._known(table, by)
            rows = sorted(rows, key=lambda row: (row[at] is not None, row[at]))
            rows = rows[::-1] if "desc" in (direction or "").lower() else rows
        asked = [re.split(r"\s+as\s+", one.strip(), flags=re.IGNORECASE) for one in _split(what)]
        if [one[0].lower() for one in asked] == ["count(*)"]:
            return {"columns": [asked[0][-1]], "rows": [[len(rows)]]}
        columns = [column for one in asked for column in (table["columns"] if one[0] == "*" else [one[-1].strip("`")])]
        cells = [word for one in asked for word in (table["columns"] if one[0] == "*" else [one[0]])]
        told = [[self._cell(table, row, cell) for cell in cells] for row in rows[: int(limit) if limit else None]]
        return {"columns": columns, "rows": told}

    # --- values ---

    @property
    def _databases(self) -> Obj:
        found: Obj = self._tables.kept["databases"]
        return found

    def _of(self, database: str | None) -> Obj:
        name = database or self.database
        if not name:
            raise SqlError(1046, "3D000", "No database selected")
        if name not in self._databases:
            raise SqlError(1049, "42000", f"Unknown database '{name}'")
        found: Obj = self._databases[name]
        return found

    def _table(self, database: str | None, name: str) -> Obj:
        found: Obj | None = self._of(database).get(name)
        if found is None:
            raise SqlError(1146, "42S02", f"Table '{database or self.database}.{name}' doesn't exist")
        return found

    @staticmethod
    def _known(table: Obj, column: str) -> int:
        if column not in table["columns"]:
            raise SqlError(1054, "42S22", f"Unknown column '{column}' in 'field list'")
        at: int = table["columns"].index(column)
        return at

    def _where(self, table: Obj, column: str | None, text: str | None) -> list[list[Value]]:
        rows: list[list[Value]] = table["rows"]
        if column is None or text is None:
            return rows
        at, wanted = self._known(table, column), self._value(text)
        return [row for row in rows if row[at] is not None and str(row[at]) == str(wanted)]

    def _cell(self, table: Obj, row: list[Value], word: str) -> Value:
        name = word.strip("`")
        return row[table["columns"].index(name)] if name in table["columns"] else self._value(word)

    def _value(self, word: str) -> Value:
        word = word.strip()
        if word[:1] in ("'", '"') and word[-1:] == word[:1] and len(word) > 1:
            return re.sub(r"\\(.)|(['\"])\2", lambda found: found[1] or found[2], word[1:-1])
        if word.lower() == "null":
            return None
        if re.fullmatch(r"-?\d+", word):
            return int(word)
        if re.fullmatch(r"-?\d*\.\d+", word):
            return float(word)
        if word.lower() == "database()":
            return self.database or None
        known = self._variables.get(word.lower().replace("@@global.", "@@"))
        if known is not None:
            return known()
        if word.startswith("@@"):
            raise SqlError(1193, "HY000", f"Unknown system variable '{word[2:]}'")
        raise SqlError(1054, "42S22", f"Unknown column '{word}' in 'field list'")


def _split(text: str) -> list[str]:
    """The parts between commas that are in no parentheses and no quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote and text[at - 1] != "\\" else quote
        elif char in "'\"":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in (*parts, text[start:]) if part.strip()]


def _as_number(value: Value, number: bool) -> Value:
    if not number or not isinstance(value, str):
        return value if number or not isinstance(value, int | float) else str(value)
    try:
        return int(value)
    except ValueError:
        raise SqlError(1366, "HY000", f"Incorrect integer value: '{value}'") from None
