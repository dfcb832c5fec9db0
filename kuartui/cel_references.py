"""References that cel-expr-python 0.1.3 miscounts, put right.

It never lets go of what a Python function was called with and returned, 20 KiB for a Pod; and it hands out each null
without counting the reference, so that Python 3.11, which counts those of None too, ends with "deallocating None" after
some thousands. With a version that counts right, nothing here does harm.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

NONE_IS_COUNTED = sys.version_info < (3, 12)


class _Returned(threading.local):
    """What functions returned while this thread evaluates an expression."""

    def __init__(self) -> None:
        self.values: list[dict[Any, Any] | list[Any]] = []


_RETURNED = _Returned()


def keep_nulls(value: Any) -> None:
    """Count the references to None in something that the library made, before it is freed."""
    if not NONE_IS_COUNTED:
        return
    waiting: list[Any] = [[value]]
    while waiting:
        held = waiting.pop()
        for inner in held.values() if isinstance(held, dict) else held:
            if inner is None:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
            elif isinstance(inner, dict | list):
                waiting.append(inner)


def releasing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for expressions to call. What it was called with is empty afterwards, and what it returned at the end of
    the `evaluation`: it must return neither an argument as it is (what is in one it may) nor anything that it keeps."""

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            result = function(*arguments)
        finally:
            for argument in arguments:
                keep_nulls(argument)
                if isinstance(argument, dict | list):
                    argument.clear()
        if isinstance(result, dict | list):
            _RETURNED.values.append(result)
        return result

    return call


@contextmanager
def evaluation() -> Iterator[None]:
    """Around evaluating an expression and taking its value. At its end, what functions returned is let go."""
    outer, _RETURNED.values = _RETURNED.values, []
    try:
        yield
    finally:
        for value in _RETURNED.values:
            value.clear()
        _RETURNED.values = outer
