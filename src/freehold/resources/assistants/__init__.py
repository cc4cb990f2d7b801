"""Assistants: a model with its instructions, tools and what these work with."""
