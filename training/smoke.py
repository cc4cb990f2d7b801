"""The whole training in minutes, on a tiny model: data, tuning in two pieces, export, engine.

Run: ``python training/smoke.py BASE.gguf`` in an environment with the extra ``train``. Ends with
an error where a step fails, the loss does not fall, or llama.cpp does not answer with the adapter.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_SETTINGS = Path(__file__).parent / "settings.toml"
_SMALLER: dict[str, int | float | list[str]] = {
    "tokens": 40_000,
    "extra": [],
    "validation": 2,
    "step_tokens": 2000,
    "validate_steps": 10,
    "learning_rate": 5e-3,
    "rank": 8,
    "alpha": 16,
}


def main() -> None:
    """Run every step in a scratch folder."""
    base = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = folder / "settings.toml"
        settings.write_text(_smaller(_SETTINGS.read_text("utf-8")), "utf-8")
        _run("data", settings, base)
        _run("tune", settings, base, "--minutes", "0", ends=3)
        _run("tune", settings, base)
        losses = _losses(folder / "build" / "run" / "loss.csv")
        if sum(losses[-5:]) >= sum(losses[:5]):
            raise SystemExit(f"The loss did not fall: {losses}")
        learnt = str(folder / "build" / "run" / "adapter.pt")
        second = str(folder / "second")
        _run("tune", settings, base, "--out", second, "--start", learnt, "--minutes", "0", ends=3)
        adapter = folder / "adapter.gguf"
        _run("export", settings, base, "--to", str(adapter))
        print(f"With the adapter: {_answer(base, adapter)!r}")


def _smaller(text: str) -> str:
    return "\n".join(_changed(line) for line in text.splitlines())


def _changed(line: str) -> str:
    name = line.partition(" = ")[0]
    if name == "template":
        return f"template = {json.dumps(str(_template()))}"
    return f"{name} = {_SMALLER[name]}" if name in _SMALLER else line


def _template() -> Path:
    return _SETTINGS.parent.parent / "src" / "freehold" / "data" / "templates" / "smollm2.jinja"


def _run(command: str, settings: Path, base: Path, *more: str, ends: int = 0) -> None:
    program = [sys.executable, "-m", "freehold_training", command]
    done = subprocess.run([*program, "--settings", settings, "--base", base, *more], check=False)
    if done.returncode != ends:
        raise SystemExit(f"{command} ended with {done.returncode}")


def _losses(path: Path) -> list[float]:
    with path.open(encoding="utf-8") as lines:
        return [float(row["loss"]) for row in csv.DictReader(lines)]


def _answer(base: Path, adapter: Path) -> str:
    """Return a few tokens of llama.cpp's with the adapter on. Raises where it cannot load it."""
    import xllamacpp  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - it has none

    library: Any = xllamacpp
    parameters = library.CommonParams()
    parameters.model.path = str(base)
    parameters.n_ctx = 512
    parameters.warmup = False
    parameters.lora_adapters = [library.CommonAdapterLoraInfo(str(adapter), 1.0)]
    said: list[str] = []

    def hear(data: bytes) -> bool:
        said.append(json.loads(data)["choices"][0]["text"])
        return False

    request = {"prompt": "<|im_start|>user\nHi<|im_end|>\n", "max_tokens": 8, "stream": True}
    library.Server(parameters).handle_completions(json.dumps(request), hear)
    return "".join(said)


if __name__ == "__main__":
    main()
