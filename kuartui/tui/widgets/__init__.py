"""Widgets of ours, each in a module."""
