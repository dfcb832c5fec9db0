"""The budgets of the project, measured: `python bench/budgets.py [NAME…]`.

Each line is measured / budget = ratio; under 1 is within. Nothing here ever fails a build: machines differ.
Everything runs in a home of its own and is taken down afterwards.
"""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    import httpx

KUARTUI = [sys.executable, "-P", "-m", "kuartui"]
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"labels": {"app": "bench"}},
    "spec": {"nodeName": "", "schedulerName": "nobody", "containers": [{"name": "c", "image": "busybox:1.36"}]},
}


def kuartui(*arguments: str) -> str:
    done = subprocess.run([*KUARTUI, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"kuartui {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def client(kubeconfig: Path) -> httpx.Client:
    """An HTTPS client with the credentials of a kubeconfig."""
    import httpx  # here: it is no part of the memory of our screens

    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    headers = {}
    if "token" in user:
        headers["Authorization"] = f"Bearer {user['token']}"
    else:
        with tempfile.NamedTemporaryFile("wb", suffix=".pem") as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pem.flush()
            context.load_cert_chain(pem.name)
    return httpx.Client(base_url=cluster["server"], verify=context, headers=headers, timeout=60)


def elapsed(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def best(action: Callable[[], object], times: int = 5) -> float:
    return min(elapsed(action) for _ in range(times))


def line(what: str, measured: float, budget: float, unit: str) -> None:
    print(f"{what:<52} {measured:>8.3g} / {budget:g} {unit:<3} = {measured / budget:5.2f}", flush=True)


def memory(pid: int) -> float:
    """Resident MiB of a process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def kubeconfig(name: str) -> Path:
    return Path(kuartui("cluster", "kubeconfig", "--path", "--name", name).strip())


def start() -> None:
    def up() -> None:
        kuartui("cluster", "up", "--name", "start")
        kuartui("kubectl", "--name", "start", "--", "get", "nodes")

    times = []
    for _ in range(3):
        times.append(elapsed(up))
        kuartui("cluster", "down", "--name", "start")
    line("cluster: start to first kubectl get nodes", statistics.median(times), 1.0, "s")


def rollout() -> None:
    kuartui("cluster", "up", "--name", "rollout")

    def roll(name: str) -> None:
        kubectl = [*KUARTUI, "kubectl", "--name", "rollout", "--"]
        subprocess.run(
            [*kubectl, "create", "deployment", name, "--image=nginx:1.27", "--replicas=3"], check=True, stdout=-3
        )
        subprocess.run([*kubectl, "rollout", "status", f"deployment/{name}"], check=True, stdout=-3)

    roll("warm")
    line(
        "create deployment --replicas=3 to rolled out",
        statistics.median(elapsed(lambda n=n: roll(f"web{n}")) for n in range(3)),
        0.9,
        "s",
    )
    kuartui("cluster", "down", "--name", "rollout")


def lists() -> None:
    kuartui("cluster", "up", "--name", "lists")
    with client(kubeconfig("lists")) as api:
        pid = int(json.loads(kuartui("cluster", "status", "--name", "lists", "-o", "json"))["facts"]["pid"])
        table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}

        def create(number: int) -> None:
            body = {**POD, "metadata": {**POD["metadata"], "name": f"pod-{number}"}}
            body["spec"] = {k: v for k, v in POD["spec"].items() if v}
            api.post("/api/v1/namespaces/default/pods", json=body).raise_for_status()

        for number in range(100):
            create(number)
        line("memory with 100 pods", memory(pid), 150, "MiB")
        spent = elapsed(lambda: [create(number) for number in range(100, 1000)])
        line("create a pod (one connection)", 1000 * spent / 900, 5, "ms")
        line("list 1,000 pods as Table", 1000 * best(lambda: api.get("/api/v1/pods", headers=table)), 60, "ms")
        line("list 1,000 pods as JSON", 1000 * best(lambda: api.get("/api/v1/pods")), 100, "ms")
        line("memory with 1,000 pods", memory(pid), 250, "MiB")
    kuartui("cluster", "down", "--name", "lists")


def processor(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle() -> None:
    """Fifty pods that run: servers, some with probes, and shells that sleep in a loop."""
    kuartui("cluster", "up", "--name", "idle")
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 10}
    containers = {
        "web": {"image": "nginx:1.27", "readinessProbe": probe, "livenessProbe": probe},
        "plain": {"image": "nginx:1.27"},
        "cache": {"image": "redis:7"},
        "shell": {"image": "busybox:1.36", "command": ["sh", "-c", "while true; do sleep 5; done"]},
        "sleeper": {"image": "busybox:1.36", "command": ["sleep", "infinity"]},
    }
    with client(kubeconfig("idle")) as api:
        pid = int(json.loads(kuartui("cluster", "status", "--name", "idle", "-o", "json"))["facts"]["pid"])
        for name, container in containers.items():
            labels = {"app": name}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", **container}]}}
            spec = {"replicas": 10, "selector": {"matchLabels": labels}, "template": template}
            body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
            api.post("/apis/apps/v1/namespaces/default/deployments", json=body).raise_for_status()
        kubectl = [*KUARTUI, "kubectl", "--name", "idle", "--", "rollout", "status"]
        for name in containers:
            subprocess.run([*kubectl, f"deployment/{name}"], check=True, stdout=-3)
    time.sleep(10)  # what a start leaves to do is not idling
    begin, used = time.perf_counter(), processor(pid)
    time.sleep(30)
    share = 100 * (processor(pid) - used) / (time.perf_counter() - begin)
    line("CPU of a core, idle with 50 running pods", share, 2, "%")
    kuartui("cluster", "down", "--name", "idle")


def levels() -> None:
    for name in ("broken-selector", "redis-crash-recovery"):
        line(f"level start {name}", elapsed(lambda n=name: kuartui("level", "start", n, "--seed", "1")), 2.0, "s")
        line(f"level reset {name}", elapsed(lambda: kuartui("level", "reset")), 2.0, "s")
        kuartui("level", "finish", "--abandon")


def proof() -> None:
    count = len(json.loads(kuartui("level", "list", "-o", "json")))
    line("proof of one level, mean", elapsed(lambda: kuartui("level", "prove")) / count, 2.0, "s")


def screen() -> None:
    bare = "from textual.app import App\nclass A(App):\n  def on_mount(self): self.exit()\nA().run(headless=True)"
    ours = "from kuartui.tui.app import first_paint\nfirst_paint()"
    run = lambda code: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)  # noqa: E731
    line("first screen / 3 x a bare Textual app", best(lambda: run(ours), 3), 3 * best(lambda: run(bare), 3), "s")
    line("kuartui --help", best(lambda: kuartui("--help")), 0.25, "s")


BENCHES = {
    "start": start,
    "rollout": rollout,
    "lists": lists,
    "idle": idle,
    "levels": levels,
    "proof": proof,
    "screen": screen,
}


def main() -> None:
    chosen = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in chosen if name not in BENCHES]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "KUARTUI_HOME": f"{home}/kuartui"}
        try:
            for name in chosen:
                BENCHES[name]()
        finally:
            subprocess.run([*KUARTUI, "cluster", "down", "--all"], capture_output=True, check=False)


if __name__ == "__main__":
    main()
