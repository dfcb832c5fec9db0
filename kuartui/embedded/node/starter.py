"""Starting one container: back-off, image, configuration, runtime, postStart hook.

After `startContainer` and `doBackOff` (pkg/kubelet/kuberuntime); each step has its own waiting reason and event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kuartui.embedded.images.model import Image
from kuartui.embedded.images.registry import Login
from kuartui.embedded.node import spec
from kuartui.embedded.node.credentials import pull_credentials
from kuartui.embedded.node.env import ConfigError, environment
from kuartui.embedded.node.expansion import expand
from kuartui.embedded.node.hooks import HookFailed
from kuartui.embedded.node.pull import StartFailure
from kuartui.embedded.node.resources import cgroup_limits
from kuartui.embedded.node.runtime import Container, ContainerSpec, CreateError, Sandbox, StartError
from kuartui.embedded.node.security import (
    credentials,
    effective,
    find_apparmor,
    seccomp_file,
    verify_non_root,
)
from kuartui.embedded.node.services import NodeServices
from kuartui.embedded.node.state import Phase, PodState, Run
from kuartui.embedded.node.stopper import Stopper
from kuartui.embedded.node.volumes.mounter import PodVolumes, image_volumes
from kuartui.embedded.node.wording import go_duration, pod_ref

Obj = dict[str, Any]

START_SECONDS = 0.08  # what containerd and runc take to create and start a container
AFTER_ERROR = 12.0  # the pod worker's backOffPeriod of 10 s with its mean jitter
AFTER_PULL_ERROR = 1.0  # until the next relist has the pod synced again


class Starter:
    """Starts containers of one pod."""

    def __init__(
        self,
        node: NodeServices,
        state: PodState,
        volumes: PodVolumes,
        stopper: Stopper,
        started: Callable[[Run], None],
    ) -> None:
        self._node = node
        self._state = state
        self._volumes = volumes
        self._stopper = stopper
        self._started = started
        """Called as soon as the first process runs, before the postStart hook."""

    async def start(self, pod: Obj, kind: str, container: Obj, sandbox: Sandbox, since: float | None) -> Run:
        """Start a container; `since` is when its last run ended (monotonic), None if that does not count.

        Raises StartFailure. A run that the runtime could not start is recorded in the state as ended.
        """

        def event(type_: str, reason: str, message: str) -> None:
            self._node.event(pod, type_, reason, message, spec.field_path(kind, container))

        if since is not None:
            self._back_off(pod, container, since, event)
        try:
            logins = pull_credentials(self._node.client, pod)
            for volume in image_volumes(pod, container):
                await self._pull_volume(pod, volume, logins)
            image = await self._node.images.ensure(pod, container, logins, event)
        except StartFailure as failure:
            event("Warning", "Failed", f"Error: {failure.reason}")
            if failure.retry is None:
                failure.retry = AFTER_PULL_ERROR if failure.reason == "ErrImagePull" else AFTER_ERROR
            raise
        made = self._create(pod, kind, container, image, sandbox, event)
        return await self._run(pod, kind, container, image, made, event)

    async def _pull_volume(self, pod: Obj, volume: Obj, logins: list[Login]) -> None:
        """Have a volume's image; what is told of that is told of the pod."""
        source = volume["image"]
        wanted = {"image": source.get("reference", ""), "imagePullPolicy": source.get("pullPolicy", "")}
        image = await self._node.images.ensure(pod, wanted, logins, lambda *event: self._node.event(pod, *event))
        self._volumes.hold_image(volume["name"], image)

    def _back_off(self, pod: Obj, container: Obj, since: float, event: Any) -> None:
        key = (pod["metadata"]["uid"], spec.identity(container))
        left = self._node.restarts.remaining(key, since)
        if left > 0:
            name, ref = container["name"], pod_ref(pod)
            event("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {ref}")
            delay = go_duration(self._node.restarts.delay(key))
            message = f"back-off {delay} restarting failed container={name} pod={ref}"
            raise StartFailure("CrashLoopBackOff", message, left)
        self._node.restarts.next(key, since)

    def _create(self, pod: Obj, kind: str, container: Obj, image: Image, sandbox: Sandbox, event: Any) -> Container:
        try:
            wanted = self._configure(pod, container, image, sandbox)
        except (ConfigError, ValueError) as error:
            event("Warning", "Failed", f"Error: {error}")
            raise StartFailure("CreateContainerConfigError", str(error), AFTER_ERROR) from None
        target = self._state.last(container["targetContainerName"]) if container.get("targetContainerName") else None
        try:
            find_apparmor(pod, container)
            self._find_seccomp(seccomp_file(pod, container), pod["spec"].get("nodeName", ""))
            made = self._node.runtime.create(wanted, sandbox, target.container if target else None)
        except CreateError as error:
            event("Warning", "Failed", f"Error: {error}")
            raise StartFailure("CreateContainerError", str(error), AFTER_ERROR) from None
        event("Normal", "Created", "Container created")
        return made

    def _find_seccomp(self, path: str, node: str) -> None:
        """Raises CreateError, as containerd does, if a profile is not on the node's disk."""
        if path and not self._node.disks.tree(node).is_file(path):
            why = f'cannot load seccomp profile "{path}": open {path}: no such file or directory'
            raise CreateError(f"failed to create containerd container: {why}")

    def _configure(self, pod: Obj, container: Obj, image: Image, sandbox: Sandbox) -> ContainerSpec:
        verify_non_root(pod, container, image)
        ips = [sandbox.ip]
        env = environment(self._node.client, pod, container, self._node.around(ips), self._volumes.env_file(pod))
        context = effective(pod, container)
        return ContainerSpec(
            name=container["name"],
            image=image,
            command=tuple(expand(word, env) for word in container.get("command") or ()),
            args=tuple(expand(word, env) for word in container.get("args") or ()),
            env=env,
            working_dir=container.get("workingDir") or "",
            mounts=self._volumes.mounts(pod, container, env),
            user=credentials(pod, container),
            resources=cgroup_limits(pod, container),
            read_only_root=bool(context.get("readOnlyRootFilesystem")),
            stdin=bool(container.get("stdin")),
            stdin_once=bool(container.get("stdinOnce")),
            tty=bool(container.get("tty")),
            termination_message_path=container.get("terminationMessagePath") or "/dev/termination-log",
        )

    async def _run(self, pod: Obj, kind: str, container: Obj, image: Image, made: Container, event: Any) -> Run:
        last = self._state.last(container["name"])
        run = Run(
            name=container["name"],
            id=f"containerd://{made.id}",
            restarts=last.restarts + 1 if last else 0,
            image=image.shown,
            image_id=image.repo_digest,
            identity=spec.identity(container),
            sandbox=self._state.sandboxes,
            resources=container.get("resources") or {},
            container=made,
        )
        self._state.add(run)
        await self._node.clock.sleep(START_SECONDS)
        try:
            await made.start()
        except StartError as error:
            self._ended_at_start(run, made)
            event("Warning", "Failed", f"Error: {error}")
            raise StartFailure("RunContainerError", str(error), AFTER_PULL_ERROR) from None
        run.started_at = made.started_at
        event("Normal", "Started", "Container started")
        self._started(run)
        await self._post_start(pod, container, run, event)
        if run.phase is Phase.CREATED:
            run.phase = Phase.RUNNING
        return run

    def _ended_at_start(self, run: Run, made: Container) -> None:
        run.phase, run.finished = Phase.EXITED, self._node.clock.monotonic()
        if made.exit is not None:
            run.started_at, run.finished_at = made.exit.started_at, made.exit.finished_at
            run.exit_code, run.reason, run.message = made.exit.code, made.exit.reason, made.exit.message

    async def _post_start(self, pod: Obj, container: Obj, run: Run, event: Any) -> None:
        hook = (container.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        try:
            await self._node.run_hook(hook, pod, container, run.living)
        except HookFailed as error:
            event("Warning", "FailedPostStartHook", "PostStartHook failed")
            await self._stopper.stop(pod, run, "FailedPostStartHook")
            raise StartFailure("PostStartHookError", str(error), AFTER_PULL_ERROR) from None
