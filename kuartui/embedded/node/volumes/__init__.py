"""The volumes of pods: what is in them, where their bytes live, and how containers see them."""
