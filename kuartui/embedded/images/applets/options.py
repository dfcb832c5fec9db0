"""Command-line options, with busybox' complaint."""

from __future__ import annotations

import getopt

from kuartui.embedded.node.runtime.process import Process, ProcessExit

Options = dict[str, str]


async def parse(
    process: Process, short: str, long: tuple[str, ...] = (), *, mixed: bool = True
) -> tuple[Options, list[str]]:
    """Options by their name without dashes (the last one wins, flags are ""), and the rest. Exits 1 on unknown ones."""
    reader = getopt.gnu_getopt if mixed else getopt.getopt
    try:
        found, rest = reader(process.argv[1:], short, list(long))
    except getopt.GetoptError as error:
        name = process.argv[0].rpartition("/")[2]
        if len(error.opt) == 1 and "requires" in error.msg:
            await process.err(f"{name}: option requires an argument -- '{error.opt}'\n")
        elif len(error.opt) == 1:
            await process.err(f"{name}: unrecognized option: {error.opt}\n")
        else:
            await process.err(f"{name}: unrecognized option: {error.opt}\n")
        raise ProcessExit(1) from None
    return {name.lstrip("-"): value for name, value in found}, rest
