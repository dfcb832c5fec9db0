"""The player's Docker engine: what levels on Docker look at, what they leave there, and bundles of images."""
