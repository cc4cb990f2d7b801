"""The administration API's HTTP face. Its operations are still on the not-built list."""
