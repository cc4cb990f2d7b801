"""The completions group."""
