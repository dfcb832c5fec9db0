"""API machinery without I/O: errors, decoding, patches, server-side apply, selectors, quantities. It names no kind."""
