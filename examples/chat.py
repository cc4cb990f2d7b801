"""Ask one question.

OPENAI_BASE_URL (http://127.0.0.1:8080/v1) and OPENAI_API_KEY (sk-...) say which server answers.
"""

import sys

from openai import OpenAI

question = " ".join(sys.argv[1:]) or "What is the capital of France?"

answer = OpenAI().chat.completions.create(
    model="gpt-4o",
    messages=[
        {"role": "system", "content": "Answer in one short sentence."},
        {"role": "user", "content": question},
    ],
    max_tokens=200,
)
print(answer.choices[0].message.content)
