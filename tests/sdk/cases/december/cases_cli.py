"""The client's own command line, ``openai api``, which newer clients no longer have."""

import subprocess
import sys
from pathlib import Path

import openai
import pytest
from given import MODEL, SCRIPTED

COMMAND = Path(sys.executable).parent / "openai"
SAMPLING = ("-t", "0", "-M", "40")


def said(*arguments):
    """Return what the command printed; it must succeed."""
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(*arguments):
    command = [COMMAND, "api", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def chat(model, *more):
    return ("chat.completions.create", "-m", model, *SAMPLING, "-g", "user", "Hello", *more)


def test_chat_prints_the_answer(client):
    messages = [{"role": "user", "content": "Hello"}]
    answer = client.chat.completions.create(
        model=MODEL, messages=messages, temperature=0, max_tokens=40
    )
    assert said(*chat(MODEL)).strip() == answer.choices[0].message.content.strip()


def test_streamed_chat_prints_the_same():
    assert said(*chat(MODEL, "--stream")).strip() == said(*chat(MODEL)).strip()


def test_streamed_chat_prints_every_choice():
    printed = said(*chat(SCRIPTED, "-n", "2"))
    assert printed.count("Hello") == 2


def test_messages_keep_their_order():
    roles = ("-g", "system", "Be short.", "-g", "user", "Say it twice")
    printed = said("chat.completions.create", "-m", SCRIPTED, *SAMPLING, *roles)
    assert printed.strip() == "Say it twice"


@pytest.mark.parametrize("streams", [(), ("--stream",)])
def test_completion_is_printed(streams):
    model = ("-m", "gpt-3.5-turbo-instruct")
    printed = said("completions.create", *model, *SAMPLING, "-p", "Once upon a time", *streams)
    assert printed.strip()


def test_models_are_listed_and_shown():
    assert f'"{MODEL}"' in said("models.list")
    assert f'"id": "{MODEL}"' in said("models.retrieve", "-i", MODEL)


def test_errors_are_printed_in_the_words_of_the_server():
    done = run(*chat("no-such-model"))
    assert done.returncode == 1
    assert "no-such-model" in done.stderr
    assert "404" in done.stderr or "model_not_found" in done.stderr


def test_version_is_the_clients():
    command = [COMMAND, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert openai.__version__ in done.stdout
