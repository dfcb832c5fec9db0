"""stty and tty: what a program's terminal is like."""

from __future__ import annotations

from kuartui.embedded.node.runtime.process import Process

DEFAULTS = """intr = ^C; quit = ^\\; erase = ^?; kill = ^U; eof = ^D; eol = <undef>;
eol2 = <undef>; swtch = <undef>; start = ^Q; stop = ^S; susp = ^Z; rprnt = ^R;
werase = ^W; lnext = ^V; flush = ^O; min = 1; time = 0;
-parenb -parodd cs8 -hupcl -cstopb cread -clocal -crtscts
-ignbrk -brkint -ignpar -parmrk -inpck -istrip -inlcr -igncr icrnl ixon -ixoff
-iuclc -ixany -imaxbel -iutf8
opost -olcuc -ocrnl onlcr -onocr -onlret -ofill -ofdel nl0 cr0 tab0 bs0 vt0 ff0
isig icanon iexten echo echoe echok -echonl -noflsh -xcase -tostop -echoprt
echoctl echoke -flusho -extproc
"""


async def stty(process: Process) -> int:
    """stty [-a | size | settings]: settings are accepted, and change nothing but `rows` and `columns`."""
    terminal = process.terminal
    words = process.argv[1:]
    if terminal is None:
        await process.err("stty: standard input: Inappropriate ioctl for device\n")
        return 1
    if words == ["size"]:
        await process.out(f"{terminal.rows} {terminal.columns}\n")
    elif not words:
        await process.out("speed 38400 baud; line = 0;\n")
    elif words in (["-a"], ["--all"]):
        await process.out(f"speed 38400 baud; rows {terminal.rows}; columns {terminal.columns}; line = 0;\n{DEFAULTS}")
    for name, value in zip(words, words[1:], strict=False):
        if value.isdigit() and name in ("rows", "cols", "columns"):
            size = (int(value), terminal.columns) if name == "rows" else (terminal.rows, int(value))
            terminal.rows, terminal.columns = size
    return 0


async def tty(process: Process) -> int:
    """tty [-s]."""
    silent = "-s" in process.argv[1:]
    if process.terminal is None:
        await process.out("" if silent else "not a tty\n")
        return 1
    await process.out("" if silent else "/dev/pts/0\n")
    return 0
