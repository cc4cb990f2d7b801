"""The steps of a training as commands: ``python -m freehold_training data|tune|export``."""

import argparse
import sys
from pathlib import Path

from freehold_training.settings import Settings

_SETTINGS = Path(__file__).parent.parent / "settings.toml"


def main() -> int:
    """Run the command; 3 means that the training goes on with the next call."""
    given = _parser().parse_args()
    settings = Settings.read(given.settings)
    # Each command needs packages that the others do not.
    if given.command == "data":
        from freehold_training.data import prepare  # noqa: PLC0415

        prepare(settings, given.base)
        return 0
    out = given.out or settings.build / "run"
    if given.command == "tune":
        from freehold_training.tune import Training  # noqa: PLC0415

        training = Training(settings, given.base, out, given.start)
        return 0 if training.run(given.minutes) else 3
    from freehold_training.export import export  # noqa: PLC0415

    export(settings, given.base, out, given.to or settings.build / f"{settings.name}.gguf")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m freehold_training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, told in (
        ("data", "write the conversations to learn from"),
        ("tune", "learn the adapter; goes on where the last call ended"),
        ("export", "write the adapter as a GGUF file"),
    ):
        command = commands.add_parser(name, help=told)
        command.add_argument("--settings", type=Path, default=_SETTINGS)
        command.add_argument("--base", type=Path, required=True, help="a GGUF file or a folder")
        command.add_argument("--out", type=Path, help="the run's folder (build/run)")
        command.add_argument("--minutes", type=float, help="tune: stop after so long")
        command.add_argument("--start", type=Path, help="tune: begin with another run's adapter.pt")
        command.add_argument("--to", type=Path, help="export: the file to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
