"""Start-up stays light: what a command does not need, it does not load."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("textual", "kubernetes", "httpx", "uvicorn", "bashkit", "cryptography", "kuartui.embedded", "jsonschema")


def loaded_by(code: str) -> set[str]:
    report = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_the_command_line_loads_nothing_heavy() -> None:
    """`kuartui --help` needs neither the screens nor a cluster client."""
    loaded = loaded_by("import kuartui.cli.app")
    assert not [name for name in HEAVY if name in loaded]


def test_who_only_asks_where_a_cluster_is_loads_no_client() -> None:
    """`kuartui kubectl` runs before each kubectl of a player."""
    code = """if True:
        import kuartui.cli.app, kuartui.cli.env, kuartui.cluster.kubectl
        from kuartui.cluster.host import EmbeddedHost
        from kuartui.cluster.select import choose
        choose("embedded", "x").kubeconfig
        EmbeddedHost().running()
    """
    heavy = ("asyncio", "yaml", "aiohttp", "ssl", "sqlite3", "msgspec", "pydantic", "typer", "kuartui.play")
    loaded = loaded_by(code)
    assert not [name for name in heavy if name in loaded]


def test_a_client_reads_no_certificate_authorities_but_its_own() -> None:
    """aiohttp would read all of the system's, which takes longer than all else that it loads."""
    code = """if True:
        import ssl
        from kuartui.cluster.access import Access
        from kuartui.cluster.rest import Api
        Api(Access("https://127.0.0.1:1"))
        from aiohttp import connector
        assert connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"] == 0
        assert connector._SSL_CONTEXT_VERIFIED.verify_mode is ssl.CERT_REQUIRED
        assert ssl.create_default_context.__module__ == "ssl"
    """
    assert "aiohttp" in loaded_by(code)


@pytest.mark.parametrize("core", ["kuartui.game", "kuartui.play", "kuartui.checks", "kuartui.catalog"])
def test_the_core_has_no_screen(core: str) -> None:
    assert "textual" not in loaded_by(f"import {core}")


def test_the_embedded_cluster_knows_nothing_of_us() -> None:
    loaded = loaded_by("import kuartui.embedded.server")
    ours = {name for name in loaded if name.startswith("kuartui.")} - {"kuartui.embedded"}
    assert not [name for name in ours if not name.startswith("kuartui.embedded.")]
