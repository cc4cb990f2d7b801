"""``freehold chat``: talk to the running server in the terminal."""

from contextlib import closing

import click

from freehold.cli import options
from freehold.cli.address import local_url
from freehold.cli.conversation import Conversation, ConversationError

_EXAMPLE = """\b
Example:
  export FREEHOLD_API_KEY=sk-...
  freehold chat "What is the capital of France?"
  freehold chat --model gpt-4o --system "Answer in one word."
"""


@click.command(epilog=_EXAMPLE)
@click.argument("message", nargs=-1)
@click.option("--model", default="gpt-4o", show_default=True, help="Model to talk to.")
@click.option("--system", help="System message.")
@click.option("--key", envvar="FREEHOLD_API_KEY", show_envvar=True, help="API key.")
@click.option(
    "--base-url", envvar="FREEHOLD_BASE_URL", show_envvar=True, help="Server, up to and with /v1."
)
def chat(
    message: tuple[str, ...], model: str, system: str | None, key: str | None, base_url: str | None
) -> None:
    """Talk to the running server in the terminal.

    With MESSAGE: one answer. Without: a conversation; Ctrl-C stops an answer, Ctrl-D ends.
    """
    if not key:
        raise click.ClickException(
            "A key is needed: --key or FREEHOLD_API_KEY (freehold keys create makes one)."
        )
    with Conversation(base_url or _own_url(), key, model, system) as conversation:
        if message:
            _answer_once(conversation, " ".join(message))
        else:
            _converse(conversation)


def _own_url() -> str:
    settings = options.load({}).settings
    return f"{local_url(settings.host, settings.port)}/v1"


def _answer_once(conversation: Conversation, message: str) -> None:
    try:
        _print_answer(conversation, message)
    except ConversationError as error:
        raise click.ClickException(str(error)) from None


def _converse(conversation: Conversation) -> None:
    while True:
        try:
            message = click.prompt("you", prompt_suffix="> ", default="", show_default=False)
        except click.Abort:
            click.echo()
            return
        if not message.strip():
            continue
        try:
            _print_answer(conversation, message)
        except ConversationError as error:
            click.echo(f"Error: {error}", err=True)
        except KeyboardInterrupt:
            click.echo(" [stopped]")


def _print_answer(conversation: Conversation, message: str) -> None:
    with closing(conversation.ask(message)) as pieces:
        for text in pieces:
            click.echo(text, nl=False)
    click.echo()
