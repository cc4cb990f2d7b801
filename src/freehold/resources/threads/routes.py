"""Threads over HTTP, with their messages and runs."""

from freehold.resources.threads import message_routes, run_routes, thread_routes

__all__ = ["message_routes", "run_routes", "thread_routes"]  # importing them binds their operations
