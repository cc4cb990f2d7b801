"""The address that a program on this machine uses for the server."""

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not listened on


def local_url(host: str, port: int) -> str:
    """Return the URL of a server that listens on ``host``."""
    name = "127.0.0.1" if host in _EVERYWHERE else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
