"""``freehold batch``: run a file of requests on a running server, and watch batches."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from freehold.cli import options, table
from freehold.cli.address import local_url
from freehold.cli.batch_client import ENDED, BatchClient, BatchClientError, faults

_LOOK_EVERY_S = 0.5


@click.group()
def batch() -> None:
    """Run a file of requests and watch batches."""


def _with_client(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command --key and --base-url; pass ``client``."""

    @wraps(function)
    def wrapper(key: str | None, base_url: str | None, **arguments: Any) -> None:
        with _client(key, base_url) as client:
            function(client=client, **arguments)

    url = click.option(
        "--base-url",
        envvar="FREEHOLD_BASE_URL",
        show_envvar=True,
        help="Server, up to and with /v1.",
    )(wrapper)
    return click.option("--key", envvar="FREEHOLD_API_KEY", show_envvar=True, help="API key.")(url)


@contextmanager
def _client(key: str | None, base_url: str | None) -> Generator[BatchClient]:
    if not key:
        raise click.ClickException(
            "A key is needed: --key or FREEHOLD_API_KEY (freehold keys create makes one)."
        )
    client = BatchClient(base_url or _own_url(), key)
    try:
        yield client
    except BatchClientError as error:
        raise click.ClickException(str(error)) from None
    finally:
        client.close()


def _own_url() -> str:
    settings = options.load({}).settings
    return f"{local_url(settings.host, settings.port)}/v1"


_RUN = """\b
Example:
  export FREEHOLD_API_KEY=sk-...
  freehold batch run input.jsonl --endpoint /v1/chat/completions -o out.jsonl
"""


@batch.command(epilog=_RUN)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--endpoint", default="/v1/chat/completions", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the results; lines that failed are among them.",
)
@_with_client
def run(client: BatchClient, file: Path, endpoint: str, output: Path | None) -> None:
    """Upload FILE, run it as a batch, show how far it is and fetch the results."""
    created = client.create(client.upload(file), endpoint)
    _see_through(client, created["id"], output, f"Created {created['id']}.")


_WATCH = """\b
Example:
  freehold batch watch batch_abc123 -o out.jsonl
"""


@batch.command(epilog=_WATCH)
@click.argument("batch_id", metavar="ID")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the results; lines that failed are among them.",
)
@_with_client
def watch(client: BatchClient, batch_id: str, output: Path | None) -> None:
    """Show how far a batch is until it ends, and fetch its results."""
    _see_through(client, batch_id, output)


_LIST = """\b
Example:
  freehold batch list
"""


@batch.command("list", epilog=_LIST)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100))
@_with_client
def list_(client: BatchClient, limit: int) -> None:
    """List the project's batches, the newest first."""
    table.show(
        ("ID", "ENDPOINT", "STATUS", "DONE", "FAILED", "TOTAL", "CREATED"),
        [
            (
                one["id"],
                one["endpoint"],
                one["status"],
                str(one["request_counts"]["completed"]),
                str(one["request_counts"]["failed"]),
                str(one["request_counts"]["total"]),
                datetime.fromtimestamp(one["created_at"], UTC).strftime("%Y-%m-%d %H:%M UTC"),
            )
            for one in client.newest(limit)
        ],
    )


_CANCEL = """\b
Example:
  freehold batch cancel batch_abc123
"""


@batch.command(epilog=_CANCEL)
@click.argument("batch_id", metavar="ID")
@_with_client
def cancel(client: BatchClient, batch_id: str) -> None:
    """Cancel a batch; what was answered by then is kept."""
    click.echo(f"{batch_id} is {client.cancel(batch_id)['status']}.")


def _see_through(
    client: BatchClient, batch_id: str, output: Path | None, news: str | None = None
) -> None:
    """Wait for the end with a progress bar, then fetch; Ctrl-C leaves the batch running."""
    try:
        if news:
            click.echo(news, err=True)
        ended = _wait(client, batch_id)
    except KeyboardInterrupt:
        again = f"freehold batch watch {batch_id}" + (f" -o {output}" if output else "")
        click.echo(f"\nThe batch goes on. Come back to it: {again}", err=True)
        raise SystemExit(130) from None
    _fetch(client, ended, output)
    counts = ended["request_counts"]
    click.echo(
        f"{batch_id} is {ended['status']}: {counts['completed']} of {counts['total']} answered, "
        f"{counts['failed']} failed.",
        err=True,
    )
    if ended["status"] != "completed":
        raise click.ClickException("\n".join(faults(ended)) or f"It ended as {ended['status']}.")


def _wait(client: BatchClient, batch_id: str) -> dict[str, Any]:
    found = client.retrieve(batch_id)
    while not found["request_counts"]["total"] and found["status"] not in ENDED:
        time.sleep(_LOOK_EVERY_S)
        found = client.retrieve(batch_id)
    total = found["request_counts"]["total"]
    began, before = time.monotonic(), _done(found)
    with click.progressbar(
        length=total, label=batch_id, show_pos=True, item_show_func=_rate
    ) as bar:
        shown = 0
        while True:
            rate = (_done(found) - before) / max(0.001, time.monotonic() - began)
            bar.update(_done(found) - shown, f"{rate:.1f}/s")
            shown = _done(found)
            if found["status"] in ENDED:
                return found
            time.sleep(_LOOK_EVERY_S)
            found = client.retrieve(batch_id)


def _rate(shown: str | None) -> str | None:
    return shown


def _done(found: dict[str, Any]) -> int:
    counts = found["request_counts"]
    return counts["completed"] + counts["failed"]


def _fetch(client: BatchClient, ended: dict[str, Any], output: Path | None) -> None:
    files = [ended.get("output_file_id"), ended.get("error_file_id")]
    if output is None:
        for file_id in filter(None, files):
            click.echo(f"Results: {file_id}", err=True)
        return
    output.write_bytes(b"")
    for file_id in filter(None, files):
        client.fetch(file_id, output)
