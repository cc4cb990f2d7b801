"""Backends: one file each, imported only when a model bound to it is loaded."""
