"""What kubectl says in a player's shell once the attempt is over and its cluster is gone."""

from __future__ import annotations

import json
import os
from pathlib import Path

from kuartui import paths
from kuartui.translate import tr


def kubeconfigs(of_attempt: Path) -> str:
    """$KUBECONFIG for a shell of the player: the attempt's own file, then one that holds nothing but a current context
    whose name says that it is over.

    kubectl takes the current context of the first file that has one. When the attempt's file has gone with its cluster,
    it names that of the second as missing; with no file left it would look for a cluster on localhost and fail for a
    reason that has nothing to do with ours. StorageError when the file cannot be written.
    """
    said = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": tr("this attempt is over; kuartui level finish shows how it went"),
    }
    text, place = json.dumps(said, ensure_ascii=False), paths.state_dir() / "over.kubeconfig"
    if not place.is_file() or place.read_text(errors="replace") != text:
        paths.write_private(place, text)
    return os.pathsep.join([str(of_attempt), str(place)])
