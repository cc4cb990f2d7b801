"""Threads over HTTP, with their messages."""

from freehold.resources.threads import message_routes, thread_routes

__all__ = ["message_routes", "thread_routes"]  # importing them binds their operations
