"""The bytes in ConfigMaps and Secrets."""

from __future__ import annotations

import base64
from typing import Any

Obj = dict[str, Any]


def secret_bytes(secret: Obj) -> dict[str, bytes]:
    """The decoded data of a Secret."""
    return {key: base64.b64decode(value or "") for key, value in (secret.get("data") or {}).items()}


def config_map_bytes(config_map: Obj) -> dict[str, bytes]:
    """data and binaryData of a ConfigMap."""
    text = {key: value.encode() for key, value in (config_map.get("data") or {}).items()}
    return text | {key: base64.b64decode(value or "") for key, value in (config_map.get("binaryData") or {}).items()}
