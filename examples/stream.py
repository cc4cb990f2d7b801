"""Print an answer while it is being written, then what it cost in tokens.

OPENAI_BASE_URL (http://127.0.0.1:8080/v1) and OPENAI_API_KEY (sk-...) say which server answers.
"""

import sys

from openai import OpenAI

question = " ".join(sys.argv[1:]) or "What can you help me with?"

stream = OpenAI().chat.completions.create(
    model="gpt-4o",
    messages=[{"role": "user", "content": question}],
    max_tokens=200,
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    elif chunk.usage:  # the last chunk has no choices
        print(f"\n({chunk.usage.prompt_tokens} + {chunk.usage.completion_tokens} tokens)")
