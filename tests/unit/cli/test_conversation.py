import json
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from freehold.cli.conversation import Conversation, ConversationError


def chunk(text):
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n"


ANSWER = chunk("Hel") + ": ping\n\n" + chunk("lo") + 'data: {"choices": []}\n\ndata: [DONE]\n\n'
MID_ERROR = chunk("Hel") + 'data: {"error": {"message": "The engine\\nstopped."}}\n\n'


@pytest.fixture
def server():
    asked, replies = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Authorization"], json.loads(body)))
            status, text = replies.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/v1", asked, replies
        httpd.shutdown()


def test_an_answer_is_streamed_and_kept_for_the_next_question(server):
    url, asked, replies = server
    replies += [(200, ANSWER), (200, ANSWER)]
    with Conversation(url, "sk-x", "gpt-4o", "Be brief.") as conversation:
        assert list(conversation.ask("Hi")) == ["Hel", "lo", ""]
        assert "".join(conversation.ask("Again")) == "Hello"
    path, key, body = asked[1]
    assert (path, key) == ("/v1/chat/completions", "Bearer sk-x")
    assert body["stream"] is True
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Again"),
    ]


def test_a_stopped_answer_is_kept_as_far_as_it_came(server):
    url, asked, replies = server
    replies += [(200, ANSWER), (200, ANSWER)]
    with Conversation(url, "sk-x", "gpt-4o") as conversation:
        with closing(conversation.ask("Hi")) as pieces:
            assert next(pieces) == "Hel"
        list(conversation.ask("Again"))
    assert asked[1][2]["messages"][1] == {"role": "assistant", "content": "Hel"}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((401, '{"error": {"message": "Incorrect API key."}}'), "Incorrect API key."),
        ((502, "<html>"), "The server answered 502 Bad Gateway."),
        ((200, MID_ERROR), "The engine stopped."),
    ],
)
def test_an_error_is_one_line_and_the_question_is_forgotten(server, reply, message):
    url, asked, replies = server
    replies += [reply, (200, ANSWER)]
    with Conversation(url, "sk-x", "gpt-4o") as conversation:
        with pytest.raises(ConversationError) as caught:
            list(conversation.ask("Hi"))
        assert str(caught.value) == message
        list(conversation.ask("Again"))
    assert asked[1][2]["messages"] == [{"role": "user", "content": "Again"}]


def test_no_server_is_said_with_the_command_that_starts_one():
    with (
        Conversation("http://127.0.0.1:9/v1", "sk-x", "gpt-4o") as conversation,
        pytest.raises(ConversationError, match="freehold serve"),
    ):
        list(conversation.ask("Hi"))
