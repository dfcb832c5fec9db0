"""Registry credentials from imagePullSecrets, after pkg/credentialprovider."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from kuartui.embedded.client import Client
from kuartui.embedded.node.volumes.content import secret_bytes

Obj = dict[str, Any]


def pull_credentials(client: Client, pod: Obj) -> list[Obj]:
    """Entries {registry, username, password} of all pull secrets that exist and can be read."""
    found = []
    for reference in pod["spec"].get("imagePullSecrets") or ():
        secret = client.get("secrets", pod["metadata"]["namespace"], reference.get("name", ""))
        if secret is not None:
            found += _entries(secret)
    return found


def _entries(secret: Obj) -> list[Obj]:
    data = secret_bytes(secret)
    raw = data.get(".dockerconfigjson")
    try:
        auths = json.loads(raw)["auths"] if raw else json.loads(data.get(".dockercfg", b"{}"))
        return [{"registry": registry, **_login(entry)} for registry, entry in auths.items()]
    except (ValueError, KeyError, AttributeError, TypeError):
        return []


def _login(entry: Obj) -> Obj:
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return {"username": "", "password": ""}
        return {"username": username, "password": password}
    return {"username": entry.get("username", ""), "password": entry.get("password", "")}
