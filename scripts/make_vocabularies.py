"""Make src/freehold/data/vocabularies/*.bin from the npm package js-tiktoken.

Usage: npm pack js-tiktoken && python scripts/make_vocabularies.py js-tiktoken-*.tgz
"""

import base64
import json
import lzma
import sys
import tarfile
from pathlib import Path
from typing import Any

NAMES = ("o200k_base", "cl100k_base", "p50k_base", "r50k_base")
TARGET = Path(__file__).parent.parent / "src/freehold/data/vocabularies"


def read_table(archive: tarfile.TarFile, name: str) -> dict[int, bytes]:
    """Return the bytes of every token, special ones included."""
    member = archive.extractfile(f"package/dist/ranks/{name}.js")
    if member is None:
        raise SystemExit(f"The package has no table {name}.")
    table: dict[str, Any] = json.JSONDecoder().raw_decode(
        member.read().decode().removeprefix("export default ")
    )[0]
    special = {number: text.encode() for text, number in table["special_tokens"].items()}
    return ordinary(table["bpe_ranks"]) | special


def ordinary(ranks: str) -> dict[int, bytes]:
    """Read lines of: an unused word, the first id, then tokens in base64."""
    tokens: dict[int, bytes] = {}
    for line in ranks.splitlines():
        _, first, *encoded = line.split(" ")
        for number, text in enumerate(encoded, start=int(first)):
            tokens[number] = base64.b64decode(text)
    return tokens


def pack(tokens: dict[int, bytes]) -> bytes:
    """Return xz of: the count (4 bytes, little endian), lengths (1 byte each), all bytes."""
    count = max(tokens) + 1
    table = [tokens.get(number, b"") for number in range(count)]
    plain = count.to_bytes(4, "little") + bytes(map(len, table)) + b"".join(table)
    return lzma.compress(plain, preset=9 | lzma.PRESET_EXTREME)


def main() -> None:
    """Write one file per vocabulary."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    TARGET.mkdir(exist_ok=True)
    with tarfile.open(sys.argv[1]) as archive:
        for name in NAMES:
            packed = pack(read_table(archive, name))
            (TARGET / f"{name}.bin").write_bytes(packed)
            print(f"{name}: {len(packed)} bytes")


if __name__ == "__main__":
    main()
