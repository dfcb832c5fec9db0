"""Registry credentials from imagePullSecrets, after pkg/credentialprovider."""

from __future__ import annotations

import json
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.images.registry import Login, logins_of
from kuartui.embedded.node.payload import secret_bytes

Obj = dict[str, Any]


def pull_credentials(client: Client, pod: Obj) -> list[Login]:
    """What all pull secrets offer that exist and can be read."""
    found = []
    for reference in pod["spec"].get("imagePullSecrets") or ():
        secret = client.get("secrets", pod["metadata"]["namespace"], reference.get("name", ""))
        if secret is not None:
            found += _logins(secret)
    return found


def missing_pull_secrets(client: Client, pod: Obj) -> list[str]:
    """The names of the pull secrets that do not exist."""
    namespace = pod["metadata"]["namespace"]
    names = [reference.get("name", "") for reference in pod["spec"].get("imagePullSecrets") or ()]
    return [name for name in names if name and client.get("secrets", namespace, name) is None]


def _logins(secret: Obj) -> list[Login]:
    data = secret_bytes(secret)
    raw = data.get(".dockerconfigjson")
    try:
        return logins_of(json.loads(raw)["auths"] if raw else json.loads(data.get(".dockercfg", b"{}")))
    except (ValueError, KeyError, AttributeError, TypeError):
        return []
