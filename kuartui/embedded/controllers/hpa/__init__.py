"""The horizontal pod autoscaler, after pkg/controller/podautoscaler."""

from kuartui.embedded.controllers.hpa.controller import HorizontalController

__all__ = ["HorizontalController"]
