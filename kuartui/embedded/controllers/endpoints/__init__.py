"""EndpointSlices and Endpoints: which pods stand behind which Service."""

from kuartui.embedded.controllers.endpoints.legacy import EndpointsController
from kuartui.embedded.controllers.endpoints.mirroring import MirroringController
from kuartui.embedded.controllers.endpoints.slices import EndpointSliceController

__all__ = ["EndpointSliceController", "EndpointsController", "MirroringController"]
