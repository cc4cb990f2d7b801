"""The models group."""
