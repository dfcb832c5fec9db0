"""The Textual app: shows what `play` tells and passes on what the player does. No Kubernetes, no SQL."""
