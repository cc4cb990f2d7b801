"""Ask many questions at once, and print each answer as soon as it is there.

OPENAI_BASE_URL (http://127.0.0.1:8080/v1) and OPENAI_API_KEY (sk-...) say which server answers.
"""

import asyncio

from openai import AsyncOpenAI

COUNTRIES = ["France", "Italy", "Japan", "Peru", "Kenya", "Norway", "Canada", "India"]


async def capital_of(client: AsyncOpenAI, country: str) -> tuple[str, str]:
    """Return the country and what the model says about its capital."""
    answer = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": f"What is the capital of {country}?"}],
        max_tokens=60,
    )
    return country, answer.choices[0].message.content or ""


async def main() -> None:
    """Ask for all capitals; the server queues what it can't answer at once."""
    async with AsyncOpenAI() as client:
        questions = [capital_of(client, country) for country in COUNTRIES]
        for answered in asyncio.as_completed(questions):
            country, text = await answered
            print(f"{country}: {text}")


asyncio.run(main())
