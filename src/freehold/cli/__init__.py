"""The command line. A command's module is imported when the command runs: help stays instant."""

from importlib import import_module
from keyword import iskeyword

import click

# Name -> one line of help, in the order shown. ``freehold.cli.NAME`` holds the command ``NAME``,
# with underscores where a name has hyphens, and behind one that is a word of Python's.
COMMANDS = {
    "serve": "Start the server.",
    "chat": "Talk to the running server in the terminal.",
    "keys": "Make, list and revoke API keys.",
    "models": "List, fetch and bind models.",
    "bench-model": "Ask the model NAME the questions of the evaluation, and count.",
    "batch": "Run a file of requests and watch batches.",
    "import": "Take over assistants that were exported from OpenAI.",
    "jobs": "List, show, retry and cancel durable jobs.",
    "worker": "Run durable jobs beside the servers.",
    "projects": "List projects and set their rules.",
    "doctor": "Check this installation and say what to do.",
    "db": "Look after the database.",
    "config": "Look at the settings.",
}

_EXAMPLE = """\b
Example:
  freehold models pull      fetch the built-in model, once
  freehold serve            start the server; the first start prints your keys
  freehold chat "Hello"     ask it something
"""


class _Commands(click.Group):
    """A group that knows its commands' names without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command = getattr(import_module(f"freehold.cli.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"freehold.cli.{name} holds no command of that name")
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, epilog=_EXAMPLE)
@click.version_option(package_name="freehold", message="freehold %(version)s")
def main() -> None:
    """Freehold serves the OpenAI API with open models on your own machine."""
