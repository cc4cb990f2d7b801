"""Turn a sentence into a typed object: the answer always fits the model.

OPENAI_BASE_URL (http://127.0.0.1:8080/v1) and OPENAI_API_KEY (sk-...) say which server answers.
"""

from typing import Literal

from openai import OpenAI
from pydantic import BaseModel


class Review(BaseModel):
    """What a customer thinks."""

    sentiment: Literal["positive", "mixed", "negative"]
    stars: Literal[1, 2, 3, 4, 5]
    would_return: bool


answer = OpenAI().beta.chat.completions.parse(
    model="gpt-4o",
    messages=[
        {"role": "system", "content": "Sum up the customer's review."},
        {"role": "user", "content": "Wonderful food, but we waited an hour for it."},
    ],
    response_format=Review,
)
review = answer.choices[0].message.parsed
if review:
    print(f"{review.sentiment}, {review.stars} stars, would return: {review.would_return}")
