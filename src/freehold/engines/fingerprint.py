"""``system_fingerprint``: what changes when the same request may be answered differently."""

import hashlib
from functools import cache

from freehold import __version__
from freehold.engines.registry import EngineSpec


@cache
def fingerprint(spec: EngineSpec | None) -> str:
    """Return the mark of this version of the server with this engine."""
    made_by = repr((__version__, spec))
    return f"fp_{hashlib.sha256(made_by.encode()).hexdigest()[:10]}"
