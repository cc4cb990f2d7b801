"""Threads: conversations that are kept, and the runs of assistants on them."""
