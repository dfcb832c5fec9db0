"""python: a few programs that manifests run with it, honestly few.

`python -m http.server` serves files. `python -c CODE` understands the usual memory hog: names bound to a string or bytes
times a product of numbers, `time.sleep`, `print`, loops over them; and the usual task of a Job, which looks at its
environment, decides, prints, and exits with some code. Whatever else it is given, it says so and exits 1.
"""

from __future__ import annotations

import ast
import html
import operator as operators
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from kuartui.embedded.images.programs.files_server import date, inside, media_type, validators
from kuartui.embedded.network.http import Header, Headers, Request, Response, server
from kuartui.embedded.node.runtime.process import Process, ProcessExit

BASE_MEMORY = 9 << 20
MOST_STEPS = 100_000
COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operators.eq, ast.NotEq: operators.ne, ast.Lt: operators.lt, ast.LtE: operators.le, ast.Gt: operators.gt,
    ast.GtE: operators.ge, ast.Is: operators.is_, ast.IsNot: operators.is_not,
    ast.In: lambda left, right: left in right, ast.NotIn: lambda left, right: left not in right,
}  # fmt: skip
EXCEPTIONS: Mapping[str, type[Exception]] = {
    kind.__name__: kind for kind in (Exception, KeyError, IndexError, OSError, RuntimeError, TypeError, ValueError)
}
ERRORS = (ArithmeticError, AssertionError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What a program's own mistakes, and those that it makes on purpose, end in."""


NOT_FOUND = b"""<!DOCTYPE HTML>
<html lang="en">
    <head>
        <meta charset="utf-8">
        <title>Error response</title>
    </head>
    <body>
        <h1>Error response</h1>
        <p>Error code: 404</p>
        <p>Message: File not found.</p>
        <p>Error code explanation: 404 - Nothing matches the given URI.</p>
    </body>
</html>
"""


class Block:
    """A long string or bytes object that is only measured."""

    def __init__(self, size: int) -> None:
        self.size = size


async def python(process: Process) -> int:
    """python [-u] (-c CODE | -m http.server [PORT] | FILE | --version)."""
    words = process.argv[1:]
    process.memory = BASE_MEMORY
    while words and words[0] in ("-u", "-B", "-I", "-O", "-q"):
        words = words[1:]
    if words[:1] in (["--version"], ["-V"]):
        await process.out(f"Python {process.env.get('PYTHON_VERSION', '3.12.11')}\n")
        return 0
    if words[:2] == ["-m", "http.server"]:
        return await _http_server(process, words[2:])
    if words[:1] == ["-c"] and len(words) > 1:
        return await _run(process, words[1], "<string>")
    if words:
        try:
            text = process.read(words[0]).decode(errors="replace")
        except OSError as error:
            await process.err(
                f"python: can't open file '{process.path(words[0])}': [Errno {error.errno}] {error.strerror}\n"
            )
            return 2
        return await _run(process, text, process.path(words[0]))
    if process.terminal is None:
        return 0
    await process.err("python: no interactive mode here\n")
    return 1


async def _http_server(process: Process, words: list[str]) -> int:
    port, home = 8000, process.cwd
    while words:
        word = words.pop(0)
        if word in ("-d", "--directory") and words:
            home = process.path(words.pop(0))
        elif word in ("-b", "--bind") and words:
            words.pop(0)
        elif word.isdigit():
            port = int(word)

    async def app(request: Request) -> Response:
        answer = _file_or_listing(process, home, request.path)
        now = f"{process.clock.now():%d/%b/%Y %H:%M:%S}"
        if answer.status == 404:
            await process.err(f"{request.peer[0]} - - [{now}] code 404, message File not found\n")
        await process.err(
            f'{request.peer[0]} - - [{now}] "{request.method} {request.target} HTTP/{request.version}" {answer.status} -\n'
        )
        return answer

    try:
        process.listen(port, server(app, name="SimpleHTTP/0.6 Python/3.12.11"))
    except OSError as error:
        await process.err(f"OSError: [Errno {error.errno}] {error.strerror}\n")
        return 1
    await process.out(f"Serving HTTP on 0.0.0.0 port {port} (http://0.0.0.0:{port}/) ...\n")
    await process.signals("INT").get()
    return 0


def _file_or_listing(process: Process, home: str, url: str) -> Response:
    """As SimpleHTTPRequestHandler: a directory's index if it has one, else what is in it; the slash at its end is asked for."""
    files, path = process.files, inside(home, url)
    if files.is_dir(path):
        if not url.endswith("/"):
            return Response(301, Headers([date(process), ("Location", url + "/"), ("Content-Length", "0")]), b"")
        for index in ("index.html", "index.htm"):
            if files.is_file(posixpath.join(path, index)):
                return _file(process, posixpath.join(path, index))
        names = [name + "/" * files.is_dir(posixpath.join(path, name)) for name in files.listdir(path)]
        title = f"Directory listing for {html.escape(url)}"
        rows = "".join(f'<li><a href="{quote(name)}">{html.escape(name)}</a></li>\n' for name in names)
        page = (
            f'<!DOCTYPE HTML>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n</head>\n'
            f"<body>\n<h1>{title}</h1>\n<hr>\n<ul>\n{rows}</ul>\n<hr>\n</body>\n</html>\n"
        )
        return _answer(process, 200, page.encode(), "text/html; charset=utf-8")
    if files.is_file(path) and not url.endswith("/"):
        return _file(process, path)
    return _answer(process, 404, NOT_FOUND, "text/html;charset=utf-8")


def _file(process: Process, path: str) -> Response:
    return _answer(process, 200, process.read(path), media_type(path), validators(process, path)[:1])


def _answer(process: Process, status: int, body: bytes, kind: str, facts: list[Header] | None = None) -> Response:
    told = [date(process), ("Content-type", kind), ("Content-Length", str(len(body))), *(facts or [])]
    return Response(status, Headers(told), body, "" if status == 200 else "File not found")


async def _run(process: Process, text: str, name: str) -> int:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        await process.err(
            f'  File "{name}", line {error.lineno}\n    {(error.text or "").strip()}\nSyntaxError: {error.msg}\n'
        )
        return 1
    machine = _Machine(process)
    try:
        await machine.block(tree.body)
    except _Unknown as error:
        await process.err(f"python: this image runs only simple programs, not {error}\n")
        return 1
    except _Raised as error:
        await process.err(
            f'Traceback (most recent call last):\n  File "{name}", line {error.line}, in <module>\n{error}\n'
        )
        return 1
    return 0


class _Raised(Exception):
    """An exception of the program's, with the line that it came from."""

    def __init__(self, error: Exception, line: int) -> None:
        name, text = type(error).__name__, str(error)
        super().__init__(f"{name}: {text}" if text else name)
        self.line = line


class _Unknown(Exception):
    """A construct that is not understood."""


class _Machine:
    """Runs the little Python there is."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._names: dict[str, Any] = {}
        self._steps = 0

    async def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            try:
                await self._statement(statement)
            except ERRORS as error:
                raise _Raised(error, statement.lineno) from None

    async def _statement(self, node: ast.stmt) -> None:
        self._steps += 1
        if self._steps % MOST_STEPS == 0:
            await self._process.compute(0.1)
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass():
                return
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._names[name] = await self._value(value)
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                self._names[name] = _add(self._names.get(name, 0), await self._value(value))
            case ast.Expr(value=value):
                await self._value(value)
            case ast.While(test=test, body=body):
                while await self._value(test):
                    await self.block(body)
                    self._steps += 1
                    if self._steps % 1000 == 0:
                        await self._process.compute(0.01)
            case ast.For(target=ast.Name(id=name), iter=iterable, body=body):
                for item in await self._value(iterable):
                    self._names[name] = item
                    await self.block(body)
            case ast.If(test=test, body=body, orelse=others):
                await self.block(body if await self._value(test) else others)
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=arguments)) if name in EXCEPTIONS:
                raise _Raised(EXCEPTIONS[name](*[await self._value(a) for a in arguments]), node.lineno)
            case _:
                raise _Unknown(ast.unparse(node).splitlines()[0])
        self._measure()

    def _measure(self) -> None:
        self._process.memory = BASE_MEMORY + sum(_size(value) for value in self._names.values())

    async def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name) if name in self._names:
                return self._names[name]
            case ast.List(elts=items):
                return [await self._value(item) for item in items]
            case ast.BinOp(left=left, op=operator, right=right):
                return _operate(await self._value(left), operator, await self._value(right))
            case ast.Compare(left=left, ops=kinds, comparators=others):
                return await self._compare(left, kinds, others)
            case ast.BoolOp(op=kind, values=values):
                for value in values:
                    found = await self._value(value)
                    if bool(found) is isinstance(kind, ast.Or):
                        break
                return found
            case ast.UnaryOp(op=ast.Not(), operand=value):
                return not await self._value(value)
            case ast.UnaryOp(op=ast.USub(), operand=value):
                return -(await self._value(value))
            case ast.IfExp(test=test, body=value, orelse=other):
                return await self._value(value if await self._value(test) else other)
            case ast.JoinedStr(values=values):
                return "".join([_text(await self._value(value)) for value in values])
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return await self._value(value)
            case ast.Attribute(value=ast.Name(id="os"), attr="environ"):
                return self._process.env
            case ast.Attribute(value=ast.Name(id="sys"), attr="stderr"):
                return self._process.err
            case ast.Subscript(value=value, slice=index):
                return (await self._value(value))[await self._value(index)]
            case ast.Call(func=function, args=arguments, keywords=named):
                options = {keyword.arg: await self._value(keyword.value) for keyword in named if keyword.arg}
                return await self._call(ast.unparse(function), [await self._value(a) for a in arguments], options)
        raise _Unknown(ast.unparse(node))

    async def _compare(self, first: ast.expr, kinds: list[ast.cmpop], others: list[ast.expr]) -> bool:
        """A chain, as `0 < x <= 9`: true if each link is."""
        left = await self._value(first)
        for kind, other in zip(kinds, others, strict=True):
            right = await self._value(other)
            if not COMPARISONS[type(kind)](left, right):
                return False
            left = right
        return True

    async def _call(self, name: str, arguments: list[Any], options: Mapping[str, Any]) -> Any:
        if name in ("print", "sys.stdout.write", "sys.stderr.write"):
            say = self._process.err if name.startswith("sys.stderr") else options.get("file") or self._process.out
            end = options.get("end", "\n" if name == "print" else "")
            await say(_text(options.get("sep", " ")).join(_text(a) for a in arguments) + _text(end))
        elif name in ("time.sleep", "sleep"):
            self._measure()
            await self._process.clock.sleep(float(arguments[0]))
        elif name in ("bytearray", "bytes") and arguments and isinstance(arguments[0], int):
            return Block(arguments[0])
        elif name == "range":
            return range(*arguments)
        elif name == "len":
            return arguments[0].size if isinstance(arguments[0], Block) else len(arguments[0])
        elif name in ("exit", "sys.exit", "quit"):
            code = arguments[0] if arguments else 0
            if isinstance(code, str):
                await self._process.err(code + "\n")
            raise ProcessExit(1 if isinstance(code, str) else int(code or 0) & 0xFF)
        elif name in ("os.environ.get", "os.getenv"):
            return self._process.env.get(*arguments)
        elif name in ("sys.stdout.flush", "sys.stderr.flush"):
            return None
        elif name == "int":
            return int(*arguments)
        elif name == "float":
            return float(*arguments)
        elif name == "str":
            return _text(*arguments)
        elif name.endswith(".append") and isinstance(self._names.get(name[:-7]), list):
            self._names[name[:-7]].append(arguments[0])
        elif name in ("signal.pause", "threading.Event().wait"):
            await self._process.clock.sleep(3.2e9)
        else:
            raise _Unknown(f"{name}()")
        return None


def _size(value: Any) -> int:
    if isinstance(value, Block):
        return value.size
    if isinstance(value, str | bytes):
        return len(value)
    return sum(_size(item) for item in value) if isinstance(value, list) else 0


def _text(value: Any) -> str:
    return str(_size(value)) if isinstance(value, Block) else str(value)


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, Block) or isinstance(right, Block):
        return Block(_size(left) + _size(right))
    return left + right


def _operate(left: Any, operator: ast.operator, right: Any) -> Any:
    for text, count in ((left, right), (right, left)):
        if isinstance(operator, ast.Mult) and isinstance(text, str | bytes | Block) and isinstance(count, int):
            size = _size(text) * count
            return Block(size) if size > 4096 or isinstance(text, Block) else text * count
    if isinstance(operator, ast.Add):
        return _add(left, right)
    if isinstance(operator, ast.Mod) and isinstance(left, str):
        if re.search(r"\d{4}|\*", left):  # would make a long text of a short one
            raise _Unknown("this format")
        return left % right
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        raise _Unknown("this arithmetic")
    match operator:
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.FloorDiv():
            return left // right
        case ast.Mod():
            return left % right
        case ast.LShift() if 0 <= right < 64 and abs(left) < 1 << 64:
            return int(left) << int(right)
        case ast.Pow() if 0 <= right < 64 and abs(left) < 1 << 64:
            return left**right
    raise _Unknown("this arithmetic")
