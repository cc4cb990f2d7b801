"""Which fields of a request go together, and what fits the model's window."""

from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.wire.completions import CompletionCreateParams

Body = CompletionCreateParams


def check(body: Body) -> None:
    """Raise ``BadRequestError`` for the first rule that the request breaks."""
    n, best_of = body.n or 1, body.best_of
    if best_of is not None and best_of < n:
        raise BadRequestError(
            "You requested that the server return more choices than it will generate (HINT: you "
            f"must set 'n' (currently {n}) to be at most 'best_of' (currently {best_of}), or omit "
            "either parameter if you don't specifically want to use them.)",
            param="best_of",
        )
    if body.stream and best_of is not None and best_of > n:
        raise BadRequestError(
            "Results can't be streamed where 'best_of' is greater than 'n': the best are known "
            "only in the end.",
            param="best_of",
        )
    if body.stream_options is not None and not body.stream:
        raise BadRequestError(
            "Invalid value for 'stream_options': 'stream_options' is only allowed when 'stream' "
            "is enabled.",
            param="stream_options",
        )


def check_choices(prompts: int, each: int) -> None:
    """Raise ``BadRequestError`` where one request asks for too many texts."""
    most = limits.figure("completions", "choices")
    if prompts * each > most:
        raise BadRequestError(
            f"You requested {prompts * each} completions ({each} for each of {prompts} prompts), "
            f"which is more than the {most} that one request may ask for.",
            param="prompt",
        )


def check_window(prompt: int, completion: int, documented: int | None, engine: int) -> None:
    """Raise ``context_length_exceeded`` for what does not fit.

    The sum must fit the window that is documented for the model. Where the engine holds less, its
    prompt must fit there, and the answer ends where the window does.
    """
    window = documented or engine
    if prompt + completion > window:
        raise _too_long(prompt, completion, window)
    if prompt + min(completion, 1) > engine:
        raise _too_long(prompt, completion, engine)


def _too_long(prompt: int, completion: int, window: int) -> BadRequestError:
    return BadRequestError(
        f"This model's maximum context length is {window} tokens, however you requested "
        f"{prompt + completion} tokens ({prompt} in your prompt; {completion} for the completion). "
        "Please reduce your prompt; or completion length.",
        param="prompt",
        code="context_length_exceeded",
    )
