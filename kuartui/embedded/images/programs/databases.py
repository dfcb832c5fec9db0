"""What the database images share: data directories that change hands, secrets in the environment or in files.

postgres, mysql and mongo go as far as a cluster notices: what they need to start, where they refuse, who may log in. They
initialise a data directory, check what they find there, listen, and answer probes. MySQL holds tables, mongo documents.
"""

from __future__ import annotations

from kuartui.embedded.node.runtime.process import Process


def chown_tree(process: Process, path: str, uid: int, gid: int) -> str:
    """Give a directory to the database's user; the complaint if that is not allowed."""
    for target in (path, *process.files.walk(path)):
        try:
            process.files.chown(target, uid, gid, process.user)
        except OSError as error:
            return f"changing ownership of '{target}': {error.strerror}"
    return ""


def secret_env(process: Process, name: str) -> str:
    """NAME, or the content of the file that NAME_FILE names."""
    path = process.env.get(name + "_FILE", "")
    if path:
        return process.files.read(path).decode().strip()
    return process.env.get(name, "")
