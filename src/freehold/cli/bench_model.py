"""``freehold bench-model``: ask a model the questions of the evaluation, and count."""

import importlib.util
import re
from pathlib import Path

import click

from freehold.cli import options
from freehold.cli.address import local_url

_EXAMPLE = """\b
Example:
  export FREEHOLD_API_KEY=sk-...
  freehold bench-model gpt-4o --limit 20
  freehold bench-model gpt-4o --row tool_call --row json
"""


@click.command("bench-model", epilog=_EXAMPLE)
@click.argument("name", metavar="NAME")
@click.option("--key", envvar="FREEHOLD_API_KEY", show_envvar=True, help="API key.")
@click.option(
    "--base-url", envvar="FREEHOLD_BASE_URL", show_envvar=True, help="Server, up to and with /v1."
)
@click.option("--row", "rows", multiple=True, help="Only this kind of question; may be repeated.")
@click.option("--limit", type=click.IntRange(1), help="Questions of each kind at most.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for all answers; what it holds is not asked again.  [default: bench-NAME.jsonl]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Questions at once.",
)
def bench_model(
    name: str,
    *,
    key: str | None,
    base_url: str | None,
    rows: tuple[str, ...],
    limit: int | None,
    out: Path | None,
    concurrency: int,
) -> None:
    """Ask the model NAME the questions of the evaluation, and count.

    Goes through the running server, so it judges what users get: tool calls, JSON, answers from
    texts, general questions and more, about 1,100 in all. docs/built-in-model.md tells what they
    are. The temperature is 0.
    """
    if not key:
        raise click.ClickException(
            "A key is needed: --key or FREEHOLD_API_KEY (freehold keys create makes one)."
        )
    if importlib.util.find_spec("openai") is None:
        raise click.ClickException("This needs an extra: pip install 'freehold[evaluate]'.")
    from freehold_training import evaluate, items  # noqa: PLC0415 - it imports that extra itself

    server = evaluate.Server(base_url or _own_url(), key, name)
    try:
        evaluate.evaluate(
            server,
            out or _default_file(name),
            rows=rows or items.ROWS,
            limit=limit,
            concurrency=concurrency,
            say=click.echo,
        )
    except evaluate.EvaluationError as error:
        raise click.ClickException(str(error)) from None


def _own_url() -> str:
    settings = options.load({}).settings
    return f"{local_url(settings.host, settings.port)}/v1"


def _default_file(name: str) -> Path:
    return Path(f"bench-{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}.jsonl")
