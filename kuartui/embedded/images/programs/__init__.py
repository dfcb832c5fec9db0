"""The programs of images: servers and tools, each behaving like the real one as far as a cluster notices."""
