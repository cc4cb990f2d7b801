"""Let the model call a function of yours, and answer with what it returned.

OPENAI_BASE_URL (http://127.0.0.1:8080/v1) and OPENAI_API_KEY (sk-...) say which server answers.
"""

import json
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletionToolParam

TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def get_weather(city: str) -> str:
    """Return the weather as text; a real program would look it up."""
    return json.dumps({"city": city, "sky": "clear", "celsius": 21})


def main() -> None:
    """Ask, run each call that the model makes, and send the results back."""
    client = OpenAI()
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = client.chat.completions.create(
        model="gpt-4o", messages=messages, tools=[TOOL], tool_choice="required"
    )
    message = asked.choices[0].message
    messages.append(message)
    for call in message.tool_calls or []:
        if call.type != "function":
            continue
        result = get_weather(**json.loads(call.function.arguments))
        print(f"{call.function.name}({call.function.arguments}) -> {result}")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    answer = client.chat.completions.create(
        model="gpt-4o", messages=messages, tools=[TOOL], tool_choice="none", max_tokens=200
    )
    print(answer.choices[0].message.content)


main()
