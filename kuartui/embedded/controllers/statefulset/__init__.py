"""The StatefulSet controller, after pkg/controller/statefulset."""

from kuartui.embedded.controllers.statefulset.controller import StatefulSetController

__all__ = ["StatefulSetController"]
