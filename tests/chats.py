"""Pieces of chat requests that several tests use."""

TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    },
}
LOOSE = {"type": "function", "function": {"name": "g"}}
CALLS = [{"name": "f", "arguments": '{"a": 1}'}, {"name": "f", "arguments": '{"a": 2}'}]


def asked(text):
    return [{"role": "user", "content": text}]
