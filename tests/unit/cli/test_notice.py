import ast

import pytest

from freehold.cli import address, notice
from freehold.cli.notice import Notice

FIRST = Notice(
    "http://127.0.0.1:8080", "smollm2", True, project_key="sk-made-up", admin_key="sk-admin-made-up"
)
LATER = Notice("http://127.0.0.1:8080", "smollm2", True)


def python_part(text: str) -> str:
    body = text.split("(pip install openai):\n\n")[1]
    return body.split("\n\n")[0]


def test_first_start_shows_both_keys_once_and_says_so():
    text = notice.text(FIRST)
    assert "shown only now" in text
    assert "project key  sk-made-up" in text
    assert text.count("sk-admin-made-up") == 1


def test_later_starts_show_no_key_and_point_to_the_environment():
    text = notice.text(LATER)
    assert "sk-" not in text
    assert "$OPENAI_API_KEY" in text
    assert 'os.environ["OPENAI_API_KEY"]' in text


@pytest.mark.parametrize("facts", [FIRST, LATER])
def test_the_python_part_is_five_lines_that_parse(facts):
    code = python_part(notice.text(facts))
    ast.parse(code)
    assert len(code.splitlines()) == 5


def test_the_built_in_model_is_said_to_be_very_small_and_how_to_bind_a_bigger_one():
    text = notice.text(LATER)
    assert "very small model (135 M parameters)" in text
    assert "freehold models add" in text


def test_the_built_in_model_is_said_to_have_no_eyes():
    assert "It has no eyes" in notice.text(LATER)
    assert "no eyes" not in notice.text(Notice("http://x:1", "big", built_in=False))


def test_a_bound_model_is_named_without_that_warning():
    text = notice.text(Notice("http://x:1", "big", built_in=False))
    assert "big" in text
    assert "very small" not in text


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - only compared
        ("::", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("box.lan", "http://box.lan:80"),
    ],
)
def test_the_address_is_one_that_programs_here_can_use(host, url):
    assert address.local_url(host, 80) == url
