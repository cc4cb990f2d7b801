import json

import httpx
import openai
import pytest
from click.testing import CliRunner

from freehold.cli import main
from freehold_training import evaluate, items, report
from freehold_training.evaluate import EvaluationError, Server
from freehold_training.results import Answered, Figure, Results, ResultsError, figures, read


class Upstream:
    """What stands for a server: notes every request and answers with ``say``'s return value."""

    def __init__(self):
        self.requests = []
        self.listing = httpx.Response(200, json={"object": "list", "data": []})
        self.say = lambda _body: "Paris"

    def __call__(self, request):
        if request.url.path.endswith("/models"):
            return self.listing
        body = json.loads(request.content)
        self.requests.append(body)
        said = self.say(body)
        return said if isinstance(said, httpx.Response) else answer({"content": said})


def answer(message):
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "logprobs": None,
        "message": {"role": "assistant", "content": None, **message},
    }
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return httpx.Response(200, json={**body, "choices": [choice]})


@pytest.fixture
def upstream(monkeypatch):
    handler = Upstream()

    def client(server):
        return openai.AsyncOpenAI(
            base_url=server.base_url,
            api_key=server.api_key,
            max_retries=0,
            http_client=httpx.AsyncClient(transport=httpx.MockTransport(handler)),
        )

    monkeypatch.setattr(Server, "client", client)
    return handler


@pytest.fixture
def run(upstream, tmp_path):
    """Run the evaluation; give the figures and the lines that were said."""

    def run(*rows, limit=3, model="m", out="out.jsonl"):
        lines = []
        server = Server("http://127.0.0.1:1/v1", "sk-x", model)
        found = evaluate.evaluate(server, tmp_path / out, rows=rows, limit=limit, say=lines.append)
        return found, lines

    return run


def test_general_questions_are_asked_at_temperature_0_and_counted(run, upstream):
    found, lines = run("general", limit=2)
    assert [(figure.name, figure.right, figure.total) for figure in found] == [
        ("general questions", 1, 2)
    ]
    assert {body["temperature"] for body in upstream.requests} == {0}
    assert "general questions  2  50.0%" in "\n".join(lines)


def test_tool_items_offer_tools_and_leave_the_choice(run, upstream):
    run("tool_call", limit=1)
    body = upstream.requests[0]
    assert body["tool_choice"] == "auto"
    assert body["tools"]


def test_json_items_ask_for_the_format(run, upstream):
    run("json", limit=1)
    assert upstream.requests[0]["response_format"]["type"] in ("json_schema", "json_object")


def test_a_right_call_counts_for_the_tool_and_for_the_arguments(run, upstream):
    wanted = items.load(["tool_call"], 1)[0]["expect"]["calls"][0]
    function = {"name": wanted["name"], "arguments": json.dumps(wanted["arguments"])}
    call = {"id": "1", "type": "function", "function": function}
    upstream.say = lambda _: answer({"tool_calls": [call]})
    found, _ = run("tool_call", limit=1)
    assert [(figure.name, figure.right) for figure in found] == [
        ("right tool", 1),
        ("all argument values exact", 1),
    ]


def test_the_models_own_answers_go_between_two_turns_of_a_user(run, upstream, tmp_path):
    upstream.say = lambda body: f"answer {len(body['messages'])}"
    found, _ = run("conversation", limit=1)
    assert found == []
    first, second = upstream.requests
    assert [message["role"] for message in first["messages"]] == ["user"]
    assert second["messages"][1] == {"role": "assistant", "content": "answer 1"}
    _, answers = read(tmp_path / "out.jsonl")
    answered = answers["conversation-0"]
    assert [each["content"] for each in answered.answers] == ["answer 1", "answer 3"]
    assert answered.passed is None


def test_an_error_counts_as_wrong_and_is_shown(run, upstream):
    upstream.say = lambda _: httpx.Response(503, json={"error": {"message": "Too busy."}})
    found, lines = run("general", limit=2)
    assert (found[0].right, found[0].total, found[0].errors) == (0, 2, 2)
    assert any("general-0: InternalServerError" in line and "Too busy" in line for line in lines)


def test_what_was_answered_is_not_asked_again_but_what_failed_is(run, upstream):
    upstream.say = lambda body: (
        httpx.Response(500, json={}) if "France" in body["messages"][0]["content"] else "Tokyo"
    )
    run("general", limit=2)
    upstream.requests.clear()
    upstream.say = lambda _: "Paris"
    found, _ = run("general", limit=2)
    assert len(upstream.requests) == 1
    assert (found[0].right, found[0].errors) == (2, 0)


def test_answers_of_two_models_are_never_mixed(run):
    run("general", limit=1)
    with pytest.raises(EvaluationError, match="holds answers of m, not of other"):
        run("general", limit=1, model="other")


def test_a_refused_key_ends_the_run_before_it_begins(run, upstream):
    upstream.listing = httpx.Response(401, json={"error": {"message": "Wrong key."}})
    with pytest.raises(EvaluationError, match="refuses the key"):
        run("general")
    assert upstream.requests == []


def test_a_server_that_does_not_answer_ends_the_run(tmp_path):
    with pytest.raises(EvaluationError, match="No server answers"):
        evaluate.evaluate(Server("http://127.0.0.1:9/v1", "k", "m"), tmp_path / "x", limit=1)


def test_an_unknown_row_is_refused(run):
    with pytest.raises(EvaluationError, match="no row nonsense"):
        run("nonsense")


def test_a_file_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello\n")
    with pytest.raises(ResultsError, match="no results"):
        Results(path, "m")
    assert path.read_text() == "hello\n"


def test_the_interval_is_wilsons():
    low, high = Figure("x", "x", 8, 10, 0).interval
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert Figure("x", "x", 10, 10, 0).interval[1] == 1.0


def answered(number, row, *, passed, said="Yes", right_tools=None):
    return Answered(
        id=f"{row}-{number}",
        row=row,
        digest="d",
        passed=passed,
        right_tools=right_tools,
        wrong="" if passed else "no",
        answers=[{"role": "assistant", "content": said}],
        error=None,
        seconds=1.0,
    )


def test_tools_and_arguments_are_two_figures():
    found = figures([answered(0, "tool_call", passed=False, right_tools=True)])
    assert [(figure.name, figure.right) for figure in found] == [
        ("right tool", 1),
        ("all argument values exact", 0),
    ]


def test_the_report_puts_runs_side_by_side():
    base = {"a": answered(0, "general", passed=False)}
    tuned = {"a": answered(0, "general", passed=True), "b": answered(0, "json", passed=True)}
    text = report.table({"base": base, "tuned": tuned})
    assert "| | items | base | tuned |" in text
    assert "| general questions | 1 | 0% (0% to 79%) | 100% (21% to 100%) |" in text
    assert "| JSON values exact | 1 | - | 100% (21% to 100%) |" in text


def test_the_report_shows_every_conversation_word_for_word():
    said = "Line one\n```python\nprint()\n```"
    answers = {
        item["id"]: answered(item["id"].split("-")[1], "conversation", passed=None, said=said)
        for item in items.load(["conversation"])
    }
    text = report.conversations(answers)
    assert text.count("> **Model:** Line one\n> ```python\n> print()\n> ```") == 20


def test_the_report_fills_the_page_between_its_markers_again_and_again():
    page = (
        "a\n<!-- x: made by python -m freehold_training.report, do not edit -->\n"
        "before\n<!-- end of x -->\nb\n"
    )
    once = report.insert(page, "x", "new")
    assert "before" not in once
    assert report.insert(once, "x", "new") == once
    with pytest.raises(ValueError, match="no markers for y"):
        report.insert(page, "y", "new")


def freehold(*arguments):
    return CliRunner().invoke(main, ["bench-model", *arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FREEHOLD_API_KEY", raising=False)
    monkeypatch.delenv("FREEHOLD_BASE_URL", raising=False)
    return tmp_path


ASKED = ("--key", "sk-x", "--base-url", "http://127.0.0.1:1/v1", "--row", "general", "--limit", "2")


def test_the_command_prints_the_table_and_keeps_the_answers(upstream, folder):
    result = freehold("org/m", *ASKED)
    assert result.exit_code == 0, result.output
    assert "general questions  2  50.0%" in result.output
    assert len((folder / "bench-org-m.jsonl").read_text().splitlines()) == 3


def test_the_command_without_a_key_says_how_to_get_one(folder):
    result = freehold("m")
    assert result.exit_code == 1
    assert "freehold keys create" in result.output


def test_the_command_without_openai_names_the_extra(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = freehold("m", *ASKED)
    assert result.exit_code == 1
    assert result.output == "Error: This needs an extra: pip install 'freehold[evaluate]'.\n"


def test_the_command_says_in_one_line_what_stops_it(upstream, folder):
    result = freehold("m", *ASKED, "--row", "nonsense")
    assert result.exit_code == 1
    assert result.output.startswith("Error: There is no row nonsense; there are tool_call, ")
