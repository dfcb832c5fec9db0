"""sudo on a node: whoever is there is root already, so it only starts the command."""

from __future__ import annotations

from kuartui.embedded.node.runtime.process import Process
from kuartui.embedded.node.runtime.programs import NotExecutable

SWITCHES = "EHnkS"
USAGE = "usage: sudo [-EHikns] [-u user] [VAR=value] [-i | -s | command [arg ...]]\n"


async def sudo(process: Process) -> int:
    """sudo [-EHiks] [-u root] [VAR=value…] [command]; -i and -s without a command start a shell."""
    words = process.argv[1:]
    variables = dict(process.env) | {"SUDO_USER": "root", "SUDO_UID": "0", "SUDO_GID": "0"}
    shell = False
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        if word in ("-u", "--user") and words:
            word = f"-u{words.pop(0)}"
        if word.startswith("-u"):
            if word not in ("-uroot", "-u#0"):
                await process.err(
                    f"sudo: unknown user {word[2:]}\nsudo: error initializing audit plugin sudoers_audit\n"
                )
                return 1
        elif word.strip("-") and set(word[1:]) <= {*SWITCHES, "i", "s"}:
            shell = shell or bool(set(word[1:]) & {"i", "s"})
        else:
            await process.err(f"sudo: invalid option -- '{word.lstrip('-')[:1]}'\n{USAGE}")
            return 1
    while words and "=" in words[0]:
        name, _, variables[name] = words.pop(0).partition("=")
    if not words and not shell:
        await process.err(USAGE)
        return 1
    argv = (["/bin/bash", "-c", " ".join(words)] if words else ["/bin/bash", "-i"]) if shell else words
    terminal = process.terminal
    before = (terminal.on_interrupt, terminal.complete) if terminal else None
    try:
        return await process.run(argv, env=variables)
    except NotExecutable:
        await process.err(f"sudo: {argv[0]}: command not found\n")
        return 1
    finally:
        if terminal is not None and before is not None:  # the shell outside has its keys back
            terminal.on_interrupt, terminal.complete = before
