"""The vector stores group."""
