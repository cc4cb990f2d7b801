"""What ``freehold serve`` says once it listens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """The facts of the notice. Keys are None on every start but the first."""

    url: str
    model: str
    built_in: bool
    project_key: str | None = None
    admin_key: str | None = None


def text(notice: Notice) -> str:
    """Return the address, the keys of a first start, two ways to try it and what answers."""
    parts = [f"Freehold listens on {notice.url}", _keys(notice), _try(notice), _model(notice)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _keys(notice: Notice) -> str:
    if notice.project_key is None:
        return ""
    return (
        "Your keys, shown only now: keep them.\n"
        f"  project key  {notice.project_key}\n"
        f"  admin key    {notice.admin_key}"
    )


def _try(notice: Notice) -> str:
    key = notice.project_key or "$OPENAI_API_KEY"
    python_key = f'"{key}"' if notice.project_key else 'os.environ["OPENAI_API_KEY"]'
    first = "from openai import OpenAI" if notice.project_key else "import os, openai"
    client = "OpenAI" if notice.project_key else "openai.OpenAI"
    body = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello."}]}'
    return f"""\
Try it with curl:

curl {notice.url}/v1/chat/completions -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" -d '{body}'

or in Python (pip install openai):

{first}
client = {client}(base_url="{notice.url}/v1", api_key={python_key})
messages = [{{"role": "user", "content": "Say hello."}}]
answer = client.chat.completions.create(model="gpt-4o", messages=messages)
print(answer.choices[0].message.content)"""


def _model(notice: Notice) -> str:
    if not notice.built_in:
        return f"Text models answer with {notice.model} where no other model is bound."
    return f"""\
Every text model, gpt-4o too, answers with {notice.model}: a very small model (135 M parameters).
It calls tools, fills in JSON and answers from a given text, but knows little and reasons badly
(docs/built-in-model.md has figures). It has no eyes: of a picture it is told format, size and
colours. Bind a bigger one (freehold models recommend names three that fit this machine):

freehold models add gpt-4o hf:ORG/REPO:FILE.gguf    (or ./file.gguf, or --base-url URL)"""
