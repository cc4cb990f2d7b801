"""Code comes out of a call's arguments whole, wherever their pieces end."""

import json

import pytest

from freehold.resources.threads.tool_code_pieces import CodePieces

CODES = [
    "print(1)",
    "print(\"a\\tb\")\n'x'",
    "path = 'C:\\\\new'",
    "print('é 漢 😀')",
    "",
]


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("code", CODES)
def test_pieces_add_up_to_the_code(code, ascii_only, size):
    arguments = json.dumps({"code": code}, ensure_ascii=ascii_only)
    pieces = CodePieces()

    given = [pieces.feed(arguments[at : at + size]) for at in range(0, len(arguments), size)]

    assert "".join(given) == code


def test_what_follows_the_code_is_not_code():
    assert CodePieces().feed('{ "code" : "x", "why": "y"}') == "x"


def test_arguments_of_another_shape_give_nothing():
    assert CodePieces().feed('{"query": "x"}') == ""
