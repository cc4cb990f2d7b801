"""Sends generated requests to a server and writes each exchange as a JSON line.

Runs in the environment of the fuzzer (``tests/sdk/environments/schemathesis.txt``):
``python sender.py DESCRIPTION BASE_URL KEY RESULTS``. The same seed sends the same requests.
"""

import json
import sys
from pathlib import Path

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

# How many requests that fit the description, and how many that break it.
COUNTS = {
    "createChatCompletion": (320, 160),
    "createCompletion": (320, 160),
    "createEmbedding": (260, 140),
    "listModels": (1, 0),
    "retrieveModel": (120, 0),
    "deleteModel": (100, 0),
    "listChatCompletions": (80, 60),
    "getChatCompletion": (80, 0),
    "updateChatCompletion": (80, 40),
    "deleteChatCompletion": (60, 0),
    "getChatCompletionMessages": (80, 40),
    "createModeration": (100, 60),
    "createFile": (60, 40),
    "listFiles": (40, 30),
    "retrieveFile": (20, 0),
    "downloadFile": (20, 0),
    "deleteFile": (20, 0),
    "createUpload": (60, 40),
    "addUploadPart": (40, 20),
    "completeUpload": (40, 30),
    "cancelUpload": (20, 0),
    "createBatch": (40, 40),
    "listBatches": (40, 30),
    "retrieveBatch": (20, 0),
    "cancelBatch": (20, 0),
}
# Of all other operations: those with a body, with a query, with neither.
WRITING, LISTING, READING = (16, 8), (6, 4), (4, 0)
MODELS = {
    "createChatCompletion": "gpt-4o",
    "createCompletion": "gpt-3.5-turbo-instruct",
    "createEmbedding": "text-embedding-3-small",
    "createModeration": "omni-moderation-latest",
    "createAssistant": "gpt-4o",
    "modifyAssistant": "gpt-4o",
    "createRun": "gpt-4o",
    "createThreadAndRun": "gpt-4o",
}
GENERATING = {"createChatCompletion", "createCompletion"}
# These end what they are about, so they are given only ids of nothing.
ENDING = {
    "deleteAssistant",
    "deleteChatCompletion",
    "deleteFile",
    "deleteMessage",
    "deleteThread",
    "deleteVectorStore",
    "deleteVectorStoreFile",
    "cancelUpload",
}
# What a server of open models refuses, or allows beside certain others only.
REFUSED = {
    "audio",
    "modalities",
    "moderation",
    "prediction",
    "reasoning_effort",
    "verbosity",
    "web_search_options",
}
REFUSED |= {"filters", "truncation_strategy"}
REFUSED |= {"best_of", "function_call", "functions", "stream_options", "suffix", "tool_choice"}
# A picture that nobody serves: no request may leave the machine.
NOWHERE = "http://127.0.0.1:9/picture.png"
MOST_TOKENS = 8
MOST_CHOICES = 2
MOST_BYTES = 1_000_000
LIMIT_S = 20


def main(description: str, base_url: str, key: str, results: str) -> None:
    """Send every operation's requests."""
    schema = schemathesis.openapi.from_dict(json.loads(Path(description).read_text()))
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {key}"
    with Path(results).open("w") as file:
        stored = _store(session, base_url)
        for found in schema.get_all_operations():
            operation = found.ok()
            name = operation.definition.raw["operationId"]
            fitting, breaking = COUNTS.get(name) or _counts(operation)
            sender = Sender(name, session, base_url, stored, file)
            sender.send(operation, GenerationMode.POSITIVE, fitting)
            sender.send(operation, GenerationMode.NEGATIVE, breaking)


def _counts(operation) -> tuple[int, int]:
    if operation.body:
        return WRITING
    return LISTING if operation.query else READING


def _store(session: requests.Session, base_url: str) -> dict[str, str]:
    """Return the ids of what there is, by the name of the parameter that takes it."""

    def made(path, **sent):
        answer = session.post(base_url + path, timeout=LIMIT_S, **sent)
        answer.raise_for_status()
        return answer.json()["id"]

    url = "/v1/chat/completions"
    chat = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
    line = {"custom_id": "a", "method": "POST", "url": url, "body": {**chat, "max_tokens": 1}}
    file = {"file": ("in.jsonl", json.dumps(line))}
    file_id = made("/files", files=file, data={"purpose": "batch"})
    batch = {"input_file_id": file_id, "endpoint": url, "completion_window": "24h"}
    upload = {"filename": "a.png", "purpose": "vision", "bytes": 3, "mime_type": "image/png"}
    note = made("/files", files={"file": ("a.txt", "A cat.")}, data={"purpose": "assistants"})
    store = made("/vector_stores", json={"file_ids": [note]})
    assistant = made("/assistants", json={"model": "gpt-4o"})
    thread = made("/threads", json={"messages": chat["messages"]})
    return {
        "assistant_id": assistant,
        "thread_id": thread,
        "message_id": made(f"/threads/{thread}/messages", json=chat["messages"][0]),
        "run_id": made(f"/threads/{thread}/runs", json={"assistant_id": assistant}),
        "vector_store_id": store,
        "note_id": note,
        "store_batch_id": made(f"/vector_stores/{store}/file_batches", json={"file_ids": [note]}),
        "completion_id": made("/chat/completions", json={**chat, "store": True}),
        "file_id": file_id,
        "batch_id": made("/batches", json=batch),
        "upload_id": made("/uploads", json=upload),
    }


class Sender:
    """Sends the requests of one operation."""

    def __init__(self, name, session, base_url, stored, file):
        self.name = name
        self.session = session
        self.base_url = base_url
        self.stored = stored
        self.file = file

    def send(self, operation, mode, count):
        """Send ``count`` requests; most of them name a model and objects that exist."""
        if not count:
            return

        @seed(20241218)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode), die=st.integers(0, 3))
        def each(case, die):
            self._tame(case, known=die > 0 and mode is GenerationMode.POSITIVE)
            self._exchange(case, mode)

        each()

    def _tame(self, case, *, known):
        if isinstance(case.body, dict):
            case.body = _without_pictures(case.body)
            _cap(case.body)
            if known and self.name not in COUNTS:
                case.body = _likely(self._standing(case.body))
            if known and self.name in MODELS:
                case.body = _likely(case.body) | {"model": MODELS[self.name]}
                if self.name in GENERATING and "max_completion_tokens" not in case.body:
                    case.body["max_tokens"] = MOST_TOKENS
        if known and "model" in case.path_parameters:
            case.path_parameters["model"] = "gpt-4o"
        if known and self.name not in ENDING:
            self._name_what_stands(case.path_parameters)
        if known and self.name == "createFile":
            case.body.pop("expires_after", None)  # forms write it as several fields
        if known and self.name == "createBatch":
            case.body["input_file_id"] = self.stored["file_id"]
        if known and self.name == "createUpload":
            size = 1 + abs(int(case.body["bytes"])) % MOST_BYTES
            case.body |= {"purpose": "assistants", "bytes": size, "mime_type": "text/plain"}

    def _name_what_stands(self, parameters):
        """Put in the ids of what there is; below a vector store other files and batches."""
        stored = self.stored
        if "vector_store_id" in parameters:
            inside = {"file_id": stored["note_id"], "batch_id": stored["store_batch_id"]}
            stored = stored | inside
        parameters.update({name: stored[name] for name in parameters.keys() & stored.keys()})

    def _standing(self, node):
        """Return a body of the assistants' groups without the faults that most of them have."""
        if isinstance(node, list):
            return [self._standing(child) for child in node]
        if not isinstance(node, dict):
            return node or "cat" if isinstance(node, str) else node
        note = self.stored["note_id"]
        known = {
            "assistant_id": self.stored["assistant_id"],
            "attachments": [{"file_id": note, "tools": [{"type": "file_search"}]}],
            "chunking_strategy": {"type": "auto"},
            "file_id": note,
            "file_ids": [note],
            "metadata": {"a": "b"},
            "tools": node.get("tools") and node["tools"][:1],
            "vector_store_ids": [self.stored["vector_store_id"]],
        }
        return {key: known.get(key) or self._standing(child) for key, child in node.items()}

    def _exchange(self, case, mode):
        # Not ``case.call``: it reads only the first events of a stream.
        sent = case.as_transport_kwargs(base_url=self.base_url)
        answer = self.session.request(**sent, timeout=LIMIT_S)
        line = {
            "operation": self.name,
            "mode": mode.value,
            "method": answer.request.method,
            "url": answer.request.url.removeprefix(self.base_url),
            "body": _text(answer.request.body),
            "status": answer.status_code,
            "content_type": answer.headers.get("content-type", ""),
            "answer": _text(answer.content),
        }
        self.file.write(json.dumps(line) + "\n")


def _text(body) -> str:
    return body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else str(body or "")


def _cap(body) -> None:
    """Keep generations short; a number that is refused anyhow stays as it is."""
    for name, most in (
        ("max_tokens", MOST_TOKENS),
        ("max_completion_tokens", MOST_TOKENS),
        ("n", MOST_CHOICES),
        ("best_of", MOST_CHOICES),
    ):
        if isinstance(body.get(name), int) and body[name] > most:
            body[name] = most


def _likely(body):
    """Return a body without the faults that most generated ones have and the schemas allow."""
    kept = {key: value for key, value in body.items() if key not in REFUSED}
    if isinstance(kept.get("logit_bias"), dict):
        kept["logit_bias"] = {
            str(place): max(-100, min(100, bias))
            for place, bias in enumerate(kept["logit_bias"].values())
        }
    for key in ("input", "prompt"):
        if key in kept:
            kept[key] = _filled(kept[key])
    if isinstance(kept.get("dimensions"), int):
        kept["dimensions"] = 1 + kept["dimensions"] % 384
    if isinstance(kept.get("messages"), list):
        kept["messages"] = [_spoken(each) for each in kept["messages"]]
    if isinstance(form := kept.get("response_format"), dict) and "json_schema" in form:
        form["json_schema"].pop("type", None)  # wrongly required by the description
    return _named(kept)


def _spoken(message):
    """Return a message that may stand anywhere: calls and their results need each other."""
    if not isinstance(message, dict) or message.get("role") in {"tool", "function"}:
        return {"role": "user", "content": "A result"}
    kept = {key: value for key, value in message.items() if key in {"role", "content", "name"}}
    content = kept.get("content") or "Some json"
    if isinstance(content, list) and not all(part.get("type") == "text" for part in content):
        content = [{"type": "text", "text": "Some json"}, *filter(_is_seen, content)]
    return kept | {"content": content}


def _is_seen(part):
    return part.get("type") in {"text", "image_url"}


def _filled(node):
    """Return texts and token arrays that are not empty, of ids that exist."""
    if isinstance(node, list):
        return [_filled(child) for child in node] or ["a"]
    if isinstance(node, int | float):
        return int(abs(node)) % 10_000
    return node or "a"


def _named(node, place=0):
    """Return the value with every ``name`` a fitting one, and no two in a list the same."""
    if isinstance(node, list):
        return [_named(child, place) for place, child in enumerate(node)]
    if not isinstance(node, dict):
        return node
    return {
        key: f"name_{place}" if key == "name" and isinstance(child, str) else _named(child, place)
        for key, child in node.items()
    }


def _without_pictures(node):
    """Return the value without an address that the server could ask."""
    if isinstance(node, list):
        return [_without_pictures(child) for child in node]
    if isinstance(node, dict):
        return {
            key: NOWHERE if key == "url" and isinstance(child, str) else _without_pictures(child)
            for key, child in node.items()
        }
    return node


if __name__ == "__main__":
    main(*sys.argv[1:])
