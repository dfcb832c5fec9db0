"""Runs containers in this process: programs written for it, and shells on a sandboxed bash.

`ContainerRuntime.create(ContainerSpec, Sandbox)` gives a `Container`; the kubelet starts, probes, stops and removes it,
the API server execs into it and reads its log, metrics ask for its usage.
"""

from kuartui.embedded.node.runtime.capabilities import granted
from kuartui.embedded.node.runtime.container import Container, ContainerRuntime, State
from kuartui.embedded.node.runtime.files import Files, MountPoint
from kuartui.embedded.node.runtime.logs import ContainerLog, Entry
from kuartui.embedded.node.runtime.spec import (
    Capture,
    ContainerSpec,
    CreateError,
    Credentials,
    ExecError,
    ExecIO,
    Exit,
    MemoryMeter,
    Mount,
    Resources,
    Sandbox,
    StartError,
    Usage,
    once,
)
from kuartui.embedded.node.runtime.users import image_user
from kuartui.embedded.node.runtime.volumes import Projected, Volume

__all__ = [
    "Capture",
    "Container",
    "ContainerLog",
    "ContainerRuntime",
    "ContainerSpec",
    "CreateError",
    "Credentials",
    "Entry",
    "ExecError",
    "ExecIO",
    "Exit",
    "Files",
    "MemoryMeter",
    "Mount",
    "MountPoint",
    "Projected",
    "Resources",
    "Sandbox",
    "StartError",
    "State",
    "Usage",
    "Volume",
    "granted",
    "image_user",
    "once",
]
