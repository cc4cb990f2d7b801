"""Yahoo's open_nsfw, computed by onnxruntime: how likely a picture is sexual."""

from typing import Any, Final

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - it has none
from PIL import Image

_SIDE: Final = 256
_CROP: Final = 224
# What the pictures that it learnt had on average: blue, green, red.
_MEAN: Final = np.array([104, 117, 123], np.float32)
_ERRORS_ONLY: Final = 3
_runtime: Any = onnxruntime


def score(picture: Image.Image, weights: str) -> float:
    """Return a probability for a picture in RGB; ``weights`` is the path of the ONNX file."""
    options = _runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    session = _runtime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: _shown(picture)})
    return float(found[0][1])


def _shown(picture: Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the middle of the picture as the network was shown its own: blue first, centred."""
    border = (_SIDE - _CROP) // 2
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    middle = small.crop((border, border, border + _CROP, border + _CROP))
    pixels = np.asarray(middle, np.float32)[:, :, ::-1] - _MEAN
    return np.ascontiguousarray(pixels[np.newaxis])
