"""The time of day, in one place so that tests can move it."""

import time


def now() -> int:
    """Return whole seconds since 1970, as the API writes timestamps."""
    return int(time.time())
