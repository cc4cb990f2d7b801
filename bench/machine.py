"""What a measurement was made on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("freehold", "xllamacpp", "uvicorn", "uvloop", "httptools", "starlette", "pydantic")


def facts() -> dict[str, str]:
    """Return processor, system, Python and the versions of the packages that matter."""
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
