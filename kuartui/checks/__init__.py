"""Decides whether checks and guards hold: one module per type, evidence in, verdict out, live on watches."""
