"""Tunes and judges the built-in chat model. Imports nothing of the server."""
