"""The DaemonSet controller, after pkg/controller/daemon."""

from kuartui.embedded.controllers.daemonset.controller import DaemonSetController

__all__ = ["DaemonSetController"]
