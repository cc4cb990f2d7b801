"""The texts' vectors, made by the very engine that the server uses."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from freehold.engines.backends.minilm import MiniLMEngine
from freehold.engines.base import EngineConfig

_AT_ONCE: Final = 512


def vectors(texts: Sequence[str], weights: Path, cache: Path) -> NDArray[np.float32]:
    """Return a row of unit length per text; what was made before is taken from ``cache``."""
    known = _stored(cache)
    missing = sorted({text for text in texts if _key(text) not in known}, key=len)
    if missing:
        made = asyncio.run(_embedded(missing, weights))
        known |= dict(zip(map(_key, missing), made, strict=True))
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, keys=np.array(list(known)), vectors=np.stack(list(known.values())))
    return np.stack([known[_key(text)] for text in texts])


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _stored(cache: Path) -> dict[str, NDArray[np.float32]]:
    if not cache.is_file():
        return {}
    with np.load(cache) as stored:
        return dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))


async def _embedded(texts: Sequence[str], weights: Path) -> NDArray[np.float32]:
    config = EngineConfig("all-minilm-l6-v2", weights.parent, weights=weights, threads=1)
    engine = await MiniLMEngine.load(config)
    found: list[NDArray[np.float32]] = []
    try:
        for start in range(0, len(texts), _AT_ONCE):
            embedded = await engine.embed(texts[start : start + _AT_ONCE])
            found.append(embedded.vectors)
            print(json.dumps({"embedded": start + len(embedded.tokens), "of": len(texts)}))
    finally:
        await engine.close()
    return np.concatenate(found)
