"""The Job controller and what follows a job's end, after pkg/controller/{job,ttlafterfinished}."""

from kuartui.embedded.controllers.job.controller import JobController

__all__ = ["JobController"]
