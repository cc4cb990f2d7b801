"""The code interpreter's sandbox: sessions of Python, each alone in a jail."""
