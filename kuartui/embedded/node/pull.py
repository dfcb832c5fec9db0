"""Images on a node: pull policy, back-off, one pull at a time, and the kubelet's events about it.

After pkg/kubelet/images/image_manager.go. What exists in which registry is the business of `images/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from kuartui.embedded.clock import Clock
from kuartui.embedded.images.model import Image
from kuartui.embedded.images.reference import InvalidReference, parse
from kuartui.embedded.images.registry import ImageCatalogue, Login, PullError
from kuartui.embedded.node.backoff import Backoff
from kuartui.embedded.node.wording import go_duration, quoted

Obj = dict[str, Any]

RESOLVE_SECONDS = 0.06  # asking a registry for a manifest

Event = Callable[[str, str, str], None]
"""Type, reason and message of an event about the container."""


class StartFailure(Exception):
    """A container cannot start now: the reason and message of its waiting state."""

    def __init__(self, reason: str, message: str, retry: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry = retry
        """Seconds after which a new attempt makes sense, if that is known."""


class ImageStore:
    """The images of one node."""

    def __init__(self, clock: Clock, catalogue: ImageCatalogue) -> None:
        self._clock = clock
        self._catalogue = catalogue
        self._present: dict[str, Image] = {}
        self._private: dict[str, frozenset[Login]] = {}
        """What was needed to pull an image: who does not have it may not use the node's copy (KubeletEnsureSecretPulledImages)."""
        self._one_pull = asyncio.Lock()
        self._backoff = Backoff(clock)
        self._errors: dict[tuple[str, str], str] = {}

    def load(self, references: Iterable[str]) -> None:
        """Have images on the node from the start, as `kind load` does. Raises PullError."""
        for reference in references:
            self._present[str(parse(reference))] = self._catalogue.pull(reference)

    def __len__(self) -> int:
        """How many images the node has."""
        return len(self._present)

    def listed(self) -> list[Obj]:
        """The images as the node's status has them, largest first."""
        found = sorted(self._present.values(), key=lambda image: -image.size)
        return [
            {"names": [image.repo_digest, *([image.reference] if image.tag else ())], "sizeBytes": image.size}
            for image in found
        ]

    async def ensure(self, pod: Obj, container: Obj, logins: Iterable[Login], event: Event) -> Image:
        """The container's image, pulled if its policy says so. Raises StartFailure."""
        asked = container["image"]
        try:
            reference = str(parse(asked))
        except InvalidReference as error:
            message = (
                f"Failed to apply default image tag {quoted(asked)}: couldn't parse image name {quoted(asked)}: {error}"
            )
            event("Warning", "InspectFailed", message)
            raise StartFailure("InvalidImageName", message) from None
        image = self._present.get(reference)
        policy = container.get("imagePullPolicy", "IfNotPresent")
        logins = list(logins)
        allowed = reference not in self._private or not self._private[reference].isdisjoint(logins)
        if image is not None and policy != "Always" and allowed:
            text = f"Container image {quoted(asked)} already present on machine and can be accessed by the pod"
            event("Normal", "Pulled", text)
            return image
        if policy == "Never":
            message = f"Container image {quoted(asked)} is not present with pull policy of Never"
            event("Warning", "ErrImageNeverPull", message)
            raise StartFailure("ErrImageNeverPull", message)
        return await self._pull(pod["metadata"]["uid"], asked, reference, logins, event)

    async def _pull(self, uid: str, asked: str, reference: str, logins: Iterable[Login], event: Event) -> Image:
        waiting = self._backoff.remaining_since_update((uid, reference))
        if waiting > 0:
            message = f"Back-off pulling image {quoted(asked)}"
            event("Normal", "BackOff", message)
            last = self._errors.get((uid, reference))
            raise StartFailure("ImagePullBackOff", f"{message}: {last}" if last else message, waiting)
        event("Normal", "Pulling", f"Pulling image {quoted(asked)}")
        asked_at = self._clock.monotonic()
        async with self._one_pull:
            began = self._clock.monotonic()
            try:
                image = self._catalogue.pull(reference, logins)
            except PullError as error:
                await self._clock.sleep(error.seconds)
                event("Warning", "Failed", f"Failed to pull image {quoted(asked)}: {error}")
                self._backoff.next((uid, reference), self._clock.monotonic())
                self._errors[uid, reference] = f"ErrImagePull: {error}"
                raise StartFailure("ErrImagePull", str(error)) from None
            known = reference in self._present
            await self._clock.sleep(RESOLVE_SECONDS if known else self._catalogue.seconds(image))
            self._present[reference] = image
            accepted = self._catalogue.accepted(reference, logins)
            if accepted is None:
                self._private.pop(reference, None)
            else:
                self._private[reference] = self._private.get(reference, frozenset()) | accepted
        now = self._clock.monotonic()
        event(
            "Normal",
            "Pulled",
            f"Successfully pulled image {quoted(asked)} in {go_duration(now - began)} "
            f"({go_duration(now - asked_at)} including waiting). Image size: {image.size} bytes.",
        )
        return image

    def forget(self, uid: str) -> None:
        """A pod is gone, and with it its failures."""
        for key in [key for key in self._errors if key[0] == uid]:
            del self._errors[key]
            self._backoff.forget(key)
