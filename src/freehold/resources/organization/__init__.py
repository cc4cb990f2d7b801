"""The organization group."""
