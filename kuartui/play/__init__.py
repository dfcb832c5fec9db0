"""Runs things, headless: attempts, their set-up, proofs. The command line and the screen are two front ends of it."""
