"""The server for the clients: the tiny model, and a script for what it can't be made to do."""

import json

from servers import TINY_CONFIG

RULES = [
    {
        "when": "two tools",
        "text": "Looking.",
        "tool_calls": [
            {"name": "get_weather", "arguments": '{"city": "Paris"}'},
            {"name": "get_time", "arguments": '{"city": "Tokyo"}'},
        ],
    },
    {"when": "slowly", "text": "word " * 400, "delay": 0.05},
    {"when": "overloaded", "error": {"status": 503, "retry_after": 0.01}},
    {"when": "broken", "text": "Once upon", "error": {"status": 500, "code": "broken"}},
    {"when": "filtered", "text": "Well", "reason": "content_filter"},
    {"when": "Anna", "text": json.dumps({"name": "Anna", "age": 30})},
    {"when": "I want to kill them", "text": "unsafe\nS1"},
    {"when": "a kitten", "text": "safe"},
]


def _toml(rule):
    """Write a rule as an inline table: JSON's values are TOML's, its colons are equals signs."""
    if isinstance(rule, dict):
        return "{" + ", ".join(f"{key} = {_toml(value)}" for key, value in rule.items()) + "}"
    if isinstance(rule, list):
        return "[" + ", ".join(map(_toml, rule)) + "]"
    return json.dumps(rule)


CONFIG = f"""default_embedding_model = "text-embedding-3-small"
{TINY_CONFIG}
[models.scripted]
backend = "scripted"
slots = 32
script = {_toml(RULES)}

[models."*-moderation-*"]
backend = "judge"
kind = "moderation"
model = "scripted"
options = {{ form = "llama-guard" }}
"""
