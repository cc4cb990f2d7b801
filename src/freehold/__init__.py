"""Freehold: the OpenAI API platform of December 2024, on your own machines."""

from importlib.metadata import version

__version__ = version("freehold")
