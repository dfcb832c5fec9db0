"""OCI artifacts: files and no program, to be mounted as image volumes."""

from __future__ import annotations

import re

from kuartui.embedded.images.library.bases import directory, text
from kuartui.embedded.images.model import Image
from kuartui.embedded.images.reference import Reference


def find(reference: Reference) -> Image | None:
    """CRI-O's example of an artifact."""
    if not re.fullmatch(r"v[12]|latest", reference.tag or "latest"):
        return None
    files = {"/dir": directory(), "/dir/file": text("1\n"), "/file": text("2\n")}
    return Image(reference.repository, reference.tag, files=files, size=2 << 10, distribution="scratch")
