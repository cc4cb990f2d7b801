"""``freehold models recommend``: bigger open models that fit this machine."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import click

from freehold.data.recommended import RecommendedRow, fitting, recommended
from freehold.engines.budget import machine_budget

_OF_GPU = 0.9  # of a GPU's memory, what a model may take
_ASK_S = 10
_ASK_GPU = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
_HONEST = """\
Sizes are of the files on {as_of}; abilities are what the publishers say. To measure here:
freehold bench-model {model_id}. The sources hf:... need pip install 'freehold[huggingface]'."""


@dataclass(frozen=True)
class GPU:
    """An NVIDIA GPU and its memory."""

    name: str
    memory_mb: int


_EXAMPLE = """\b
Example:
  freehold models recommend
  freehold models recommend gpt-4o-mini --memory 6000
"""


@click.command(epilog=_EXAMPLE)
@click.argument("model_id", metavar="[ID]", default="gpt-4o")
@click.option(
    "--memory", type=click.IntRange(1), help="Megabytes a model may take, instead of looking."
)
def recommend(model_id: str, memory: int | None) -> None:
    """Name three open models that fit this machine, and the command that binds each to ID.

    Looks at the memory and at NVIDIA GPUs. The list is part of this version and dated.
    """
    found = [] if memory else gpus()
    available = memory or _of_gpus(found) or machine_budget() / 1e6
    click.echo(f"{_machine(found)} A model may take about {available:,.0f} MB.\n")
    rows = fitting(available, accelerated=bool(found))
    for row in rows:
        click.echo("\n".join(_lines(row, model_id)) + "\n")
    if not rows:
        click.echo("None of the models that we know fits: stay with the built-in one.\n")
    click.echo(_HONEST.format(as_of=recommended().as_of, model_id=model_id))


def gpus() -> list[GPU]:
    """Return the NVIDIA GPUs that ``nvidia-smi`` tells of; none where it is missing or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run(  # noqa: S603 - fixed words
            [program, *_ASK_GPU], capture_output=True, text=True, timeout=_ASK_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return list(_parsed(answer.stdout))


def _parsed(text: str) -> Iterator[GPU]:
    for line in text.splitlines():
        name, _, memory = line.rpartition(",")
        if memory.strip().isdigit():  # "[N/A]" where the GPU shares the machine's memory
            yield GPU(name.strip(), round(int(memory) * 1.048576))


def _of_gpus(found: list[GPU]) -> float:
    return _OF_GPU * sum(gpu.memory_mb for gpu in found)


def _machine(found: list[GPU]) -> str:
    if not found:
        return "No NVIDIA GPU is used: models that would be very slow are left out."
    named = "; ".join(f"{gpu.name} with {gpu.memory_mb:,} MB" for gpu in found)
    return (
        f"{named}. llama.cpp as it comes from PyPI leaves a GPU idle: install an xllamacpp "
        "that was built for it, or bind a server that uses it (--base-url)."
    )


def _lines(row: RecommendedRow, model_id: str) -> Iterator[str]:
    seeing = "; sees pictures" if row.vision else ""
    yield f"{row.name}: {row.tools}{seeing}"
    yield f"  {row.size_mb:,} MB to fetch, {row.memory_mb:,} MB in memory, {row.licence}"
    yield f"  freehold models add {model_id} {row.weights}" + (
        f" --mmproj {row.mmproj}" if row.mmproj else ""
    )
