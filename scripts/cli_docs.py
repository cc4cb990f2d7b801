"""Paste every command's help into docs/cli.md (``--check`` only compares)."""

import sys

import click
import generated

from freehold.cli import main as freehold


def main(arguments: list[str]) -> None:
    """Write the page, or compare it."""
    generated.keep("cli.md", "cli_docs.py", text(), arguments)


def text() -> str:
    """Return the help of the program and all its commands."""
    return "\n\n".join(_sections(freehold, "freehold", None))


def _sections(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=88)
    found = [f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```"]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            inner = command.get_command(context, child)
            if inner is not None:
                found += _sections(inner, child, context)
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
