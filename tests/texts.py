"""Legacy completions that several tests ask for."""

from checking import events_of

PATH = "/v1/completions"
MODEL = "gpt-3.5-turbo-instruct"


def body_of(prompt="one two three", **fields):
    return {"model": MODEL, "prompt": prompt, **fields}


async def completed(api, *prompt, **fields):
    """Return the answer to a completion that must succeed."""
    answer = await api.client.post(PATH, json=body_of(*prompt, **fields))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert all(choice["finish_reason"] for choice in found["choices"])
    return found


async def only(api, *prompt, **fields):
    """Return the one choice of an answer."""
    (choice,) = (await completed(api, *prompt, **fields))["choices"]
    return choice


async def texts(api, *prompt, **fields):
    return [choice["text"] for choice in (await completed(api, *prompt, **fields))["choices"]]


async def streamed(api, *prompt, **fields):
    """Return the events of a streamed completion that must succeed."""
    answer = await api.client.post(PATH, json=body_of(*prompt, stream=True, **fields))
    assert answer.status_code == 200, answer.text
    return events_of(answer)


async def refused(api, *prompt, status=400, **fields):
    """Return the error of a completion that must be refused."""
    answer = await api.client.post(PATH, json=body_of(*prompt, **fields), sends_invalid=True)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


async def engine(api):
    return await api.server.registry.find(MODEL).text.ensure_loaded()
