"""The chat group."""
