"""On a cluster that others use, too, nothing leaves us that would change what is theirs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuartui.cluster.fence import Fence, parse
from kuartui.errors import ClusterError
from kuartui.game.labels import LABEL_ATTEMPT, LABEL_CHECKER
from kuartui.game.level import Right

CHECKER = {LABEL_CHECKER: "true"}
OURS = {"metadata": {"labels": {LABEL_ATTEMPT: "a1"}}}
THEIRS: dict[str, Any] = {"metadata": {"labels": {"app": "shop"}}}
LIVE = {
    "/api/v1/namespaces/ours": OURS,
    "/api/v1/namespaces/theirs": THEIRS,
    "/api/v1/nodes/worker": THEIRS,
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/ours": OURS,
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/theirs": THEIRS,
    "/api/v1/namespaces/theirs/configmaps/precious": THEIRS,
}
RIGHT = Right(verbs=("patch",), resources=("nodes",), names=("worker",))


async def read(path: str) -> Any:
    return LIVE.get(path)


async def refused(method: str, path: str, body: Any = None, fence: Fence | None = None, **params: str) -> bool:
    try:
        await (fence or Fence()).check(method, path, params, body, read)
    except ClusterError:
        return True
    return False


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/namespaces/ours/pods", THEIRS),
        ("DELETE", "/api/v1/namespaces/ours", None),
        ("PUT", "/apis/apps/v1/namespaces/ours/deployments/web", THEIRS),
        ("POST", "/api/v1/namespaces", OURS),
        ("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/ours", None),
        ("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/not-there", None),
        ("POST", "/api/v1/namespaces/theirs/configmaps", OURS),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {}),
        ("GET", "/api/v1/namespaces/theirs/secrets", None),
    ],
)
async def test_what_goes_through(method: str, path: str, body: Any) -> None:
    assert not await refused(method, path, body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/v1/namespaces/theirs", None),
        ("PATCH", "/api/v1/namespaces/theirs", OURS),
        ("POST", "/api/v1/namespaces", THEIRS),
        ("POST", "/api/v1/namespaces/theirs/pods", THEIRS),
        ("DELETE", "/api/v1/namespaces/theirs/configmaps/precious", None),
        ("PUT", "/api/v1/namespaces/theirs/configmaps/precious", OURS),
        ("DELETE", "/api/v1/namespaces/theirs/configmaps", None),
        ("DELETE", "/api/v1/nodes", None),
        ("PATCH", "/api/v1/nodes/worker", OURS),
        ("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/theirs", None),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", THEIRS),
        ("POST", "/api/v1/namespaces/theirs/pods/web/eviction", {}),
        ("POST", "/healthz", None),
        ("PUT", "/api/v1/namespaces/theirs/finalize", OURS),
    ],
)
async def test_what_does_not(method: str, path: str, body: Any) -> None:
    assert await refused(method, path, body)


async def test_a_dry_run_changes_nothing() -> None:
    assert not await refused("POST", "/api/v1/namespaces/theirs/pods", THEIRS, dryRun="All")


async def test_what_the_player_may_change_we_may_put_back() -> None:
    fence = Fence([RIGHT])
    assert not await refused("PUT", "/api/v1/nodes/worker", THEIRS, fence)
    assert await refused("DELETE", "/api/v1/nodes/worker", None, fence)
    assert await refused("PUT", "/api/v1/nodes/another", THEIRS, Fence([RIGHT])) is True


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/namespaces/ours/pods", THEIRS),
        ("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/ours", None),
        ("POST", "/api/v1/namespaces", OURS),
        ("POST", "/api/v1/namespaces/theirs/configmaps", OURS),
        ("POST", "/api/v1/namespaces/theirs/configmaps", {"metadata": {"name": "kuartui-x", "labels": CHECKER}}),
        ("POST", "/api/v1/namespaces", {"metadata": {"name": "shop", "labels": CHECKER}}),
    ],
)
async def test_another_attempts_things_are_somebody_elses(method: str, path: str, body: Any) -> None:
    assert await refused(method, path, body, Fence(attempt="b2"))


async def test_what_is_of_the_attempt_in_play_goes_through() -> None:
    fence = Fence(attempt="a1")
    assert not await refused("POST", "/api/v1/namespaces/ours/pods", THEIRS, fence)
    assert not await refused("POST", "/api/v1/namespaces", OURS, fence)
    assert not await refused(
        "POST", "/api/v1/namespaces", {"metadata": {"name": "kuartui-system", "labels": CHECKER}}, fence
    )


async def test_commands_run_in_namespaces_of_ours_only() -> None:
    await Fence().check_exec("ours", read)
    with pytest.raises(ClusterError, match="theirs is not kuartui's"):
        await Fence().check_exec("theirs", read)


SEGMENT = st.sampled_from(["api", "apis", "v1", "apps", "namespaces", "ours", "theirs", "pods", "nodes", "x", "status"])


@given(st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]), st.lists(SEGMENT, min_size=1, max_size=8))
async def test_no_path_leads_into_a_namespace_of_others(method: str, segments: list[str]) -> None:
    """Whatever is sent without our label, when it goes through it is in our namespace or about nothing that exists."""
    path = "/" + "/".join(segments)
    if not await refused(method, path, THEIRS):
        target = parse(path)
        assert target is not None
        assert target.namespace in ("ours", "kuartui-system") or target.path not in LIVE or LIVE[target.path] is OURS


@pytest.mark.usefixtures("undisturbed")
def test_requests_leave_at_two_places_only() -> None:
    """`Api.stream` and `exec.run` ask the fence; nobody else in kuartui holds an HTTP client for a cluster."""
    root = Path(__file__).parents[2] / "kuartui"
    found = set()
    for file in root.rglob("*.py"):
        place = file.relative_to(root)
        if place.parts[0] in ("embedded", "leaderboard"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and [item.name for item in node.names] != ["web"]:
                names.append(node.module or "")  # aiohttp.web is a server: it sends nothing by itself
            if any(name.partition(".")[0] in ("aiohttp", "httpx", "requests", "kubernetes") for name in names):
                found.add(str(place))
    found -= {"containers/engine.py"}  # that one asks Docker's socket
    assert found == {"cluster/rest.py", "cluster/exec.py", "cluster/aiohttp_quickly.py"}  # the last only loads it


WRITING = {"create", "apply", "patch", "delete", "request"}


@pytest.mark.usefixtures("undisturbed")
def test_whoever_opens_a_client_fences_it_or_only_reads() -> None:
    """Our own cluster's clock (cluster/embedded.py) aside, which is no shared one."""
    root = Path(__file__).parents[2] / "kuartui"
    opened = []
    for file in root.rglob("*.py"):
        place = str(file.relative_to(root))
        if place.startswith(("embedded/", "leaderboard/")) or place == "cluster/embedded.py":
            continue
        tree = ast.parse(file.read_text())
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            if not any(ast.unparse(call) in ("Api", "Api.open") for call in calls):
                continue
            fenced = any(
                isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(".fence")
                for node in ast.walk(function)
            )
            writes = {call.attr for call in calls if isinstance(call, ast.Attribute)} & WRITING
            opened.append(place)
            assert fenced or not writes, f"{place}: {function.name} writes ({writes}) past the fence"
    assert {"cluster/shared.py", "play/arena.py", "play/takedown.py"} <= {*opened}


def _book(manager: str) -> dict[str, Any]:
    """Who wrote our label, as an API server keeps it."""
    written = {"f:metadata": {"f:labels": {".": {}, f"f:{LABEL_ATTEMPT}": {}}}}
    return {"labels": {LABEL_ATTEMPT: "a1"}, "managedFields": [{"manager": manager, "fieldsV1": written}]}


@pytest.mark.parametrize(("manager", "fine"), [("kuartui", True), ("kubectl-label", False)])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/v1/namespaces/shop"),
        ("POST", "/api/v1/namespaces/shop/pods"),
        ("DELETE", "/api/v1/namespaces/shop/configmaps"),
        ("DELETE", "/apis/storage.k8s.io/v1/storageclasses/standard"),
        ("PATCH", "/api/v1/nodes/worker"),
    ],
)
async def test_a_label_counts_where_we_put_it(method: str, path: str, manager: str, fine: bool) -> None:
    async def look(_: str) -> Any:
        return {"metadata": _book(manager)}

    try:
        await Fence(attempt="a1").check(method, path, {}, {}, look)
    except ClusterError:
        assert not fine
    else:
        assert fine


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease"])
async def test_the_clusters_own_namespaces_are_never_deleted(name: str) -> None:
    async def look(_: str) -> Any:
        return {"metadata": _book("kuartui")}

    fence = Fence(rights=[Right(verbs=("delete", "create"), resources=("namespaces",))], attempt="a1")
    fence.claim(name)
    with pytest.raises(ClusterError):
        await fence.check("DELETE", f"/api/v1/namespaces/{name}", {}, None, look)
