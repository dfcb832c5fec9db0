"""The Deployment controller, after pkg/controller/deployment."""

from kuartui.embedded.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
