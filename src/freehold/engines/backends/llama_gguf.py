"""Reads the head of a GGUF file: what must be known about a model before it is loaded."""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from freehold.engines.gguf import DamagedFileError, read_facts

# Token types that the tokenizer reads only where control tokens are allowed.
_UNKNOWN_TOKEN: Final = 2
_CONTROL_TOKEN: Final = 3
# What models call the tokens for filling in the middle; files may also name them by number.
_INSERTION_NAMES: Final = (
    {b"<|fim_prefix|>", b"<fim-prefix>", b"<fim_prefix>", b"<|code_prefix|>", b"<PRE>"},
    {b"<|fim_suffix|>", b"<fim-suffix>", b"<fim_suffix>", b"<|code_suffix|>", b"<SUF>"},
    {b"<|fim_middle|>", b"<fim-middle>", b"<fim_middle>", b"<|code_middle|>", b"<MID>"},
)
_BLANK: Final = "\u2581".encode()  # stands before some of these names


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What the head of a model's file says."""

    trained_context: int
    template: str | None
    control_tokens: tuple[str, ...]
    bos_token: str
    eos_token: str
    start_token: int | None
    end_token: int | None
    vocabulary: int
    insertion: tuple[int, int, int] | None


def read_head(path: Path) -> ModelFile:
    """Return the facts in the file's head. Raises ``OSError`` or ``DamagedFileError``."""
    with path.open("rb") as file:
        try:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise DamagedFileError("the file is empty") from error
        with view:
            try:
                return _describe(read_facts(view))
            except (UnicodeDecodeError, KeyError, IndexError) as error:
                raise DamagedFileError("its head is damaged or cut off") from error


def _describe(facts: dict[str, Any]) -> ModelFile:
    tokens: list[bytes] = facts.get("tokenizer.ggml.tokens", [])
    types: list[int] = facts.get("tokenizer.ggml.token_type", [])
    special = (_UNKNOWN_TOKEN, _CONTROL_TOKEN)
    bos, eos = (facts.get(f"tokenizer.ggml.{end}_token_id") for end in ("bos", "eos"))

    def text(token: int | None) -> str:
        return "" if token is None else tokens[token].decode()

    return ModelFile(
        trained_context=int(facts[f"{facts['general.architecture']}.context_length"]),
        template=facts.get("tokenizer.chat_template"),
        control_tokens=tuple(
            token.decode() for token, kind in zip(tokens, types, strict=False) if kind in special
        ),
        bos_token=text(bos),
        eos_token=text(eos),
        start_token=bos if bos is not None else eos,
        end_token=eos,
        vocabulary=len(tokens),
        insertion=_insertion(facts, tokens),
    )


def _insertion(facts: dict[str, Any], tokens: list[bytes]) -> tuple[int, int, int] | None:
    """Return the tokens before a prefix, a suffix and the middle; None where there are not all."""
    found: list[int] = []
    for role, names in zip(("pre", "suf", "mid"), _INSERTION_NAMES, strict=True):
        token = facts.get(f"tokenizer.ggml.fim_{role}_token_id")
        known = [place for place, name in enumerate(tokens) if name.removeprefix(_BLANK) in names]
        if token is None and not known:
            return None
        found.append(known[0] if token is None else token)
    return found[0], found[1], found[2]
