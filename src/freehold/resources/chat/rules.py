"""Which fields of a chat request go together, and what a model does not take."""

from typing import Any

from freehold.core.errors import BadRequestError
from freehold.data.models import ModelRow
from freehold.wire.chat import (
    ChatCompletionFunctionCallOptionParam,
    ChatCompletionNamedToolChoiceParam,
    CompletionCreateParams,
)

Body = CompletionCreateParams


def check(body: Body, row: ModelRow) -> None:
    """Raise ``BadRequestError`` for the first rule that the request breaks."""
    for rule in (_together, _tools, _functions, _tool_choice, _function_call, _json):
        rule(body)
    _model(body, row)
    _output_limit(body, row)


def _refuse(param: str, message: str, code: str | None = None) -> BadRequestError:
    return BadRequestError(message, param=param, code=code)


def _only_when(param: str, condition: str) -> BadRequestError:
    return _refuse(
        param, f"Invalid value for '{param}': '{param}' is only allowed when {condition}."
    )


def _together(body: Body) -> None:
    if body.top_logprobs is not None and not body.logprobs:
        raise _only_when("top_logprobs", "'logprobs' is enabled")
    if body.stream_options is not None and not body.stream:
        raise _only_when("stream_options", "'stream' is enabled")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise _refuse(
            "max_tokens",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        )
    if body.modalities is not None and "audio" in body.modalities:
        raise _refuse(
            "modalities",
            "Audio answers are not supported by this server yet; use modalities ['text'].",
            "unsupported_value",
        )


def _tools(body: Body) -> None:
    if not body.tools:
        for param in ("tool_choice", "parallel_tool_calls"):
            if getattr(body, param) is not None:
                raise _only_when(param, "'tools' are specified")
        return
    _check_names([tool.function.name for tool in body.tools], "tools[{}].function.name")


def _functions(body: Body) -> None:
    if body.functions is None:
        if body.function_call is not None:
            raise _only_when("function_call", "'functions' are specified")
        return
    if body.tools is not None:
        raise _refuse(
            "functions", "'functions' and 'tools' can't be used in one request; use 'tools'."
        )
    _check_names([function.name for function in body.functions], "functions[{}].name")


def _check_names(names: list[str], param: str) -> None:
    for place, name in enumerate(names):
        where = param.format(place)
        if name in names[:place]:
            raise _refuse(where, f"Invalid '{where}': the name '{name}' is used twice.")


def _tool_choice(body: Body) -> None:
    choice = body.tool_choice
    if not isinstance(choice, ChatCompletionNamedToolChoiceParam):
        return
    if choice.function.name not in [tool.function.name for tool in body.tools or ()]:
        raise _refuse(
            "tool_choice", f"Tool choice '{choice.function.name}' not found in 'tools' parameter."
        )


def _function_call(body: Body) -> None:
    choice = body.function_call
    if not isinstance(choice, ChatCompletionFunctionCallOptionParam):
        return
    if choice.name not in [function.name for function in body.functions or ()]:
        raise _refuse(
            "function_call",
            f"Function call '{choice.name}' not found in 'functions' parameter.",
        )


def _json(body: Body) -> None:
    wanted = body.response_format
    if wanted is None or wanted.type != "json_object":
        return
    if not any("json" in _words(message.content).lower() for message in body.messages):
        raise _refuse(
            "messages",
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
        )


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(getattr(part, "text", "") for part in content or ())


def _model(body: Body, row: ModelRow) -> None:
    """Refuse what the model does not take: reasoning models much, the others reasoning."""
    if body.reasoning_effort is not None and not row.reasoning:
        raise _unsupported("reasoning_effort")
    for param in row.unsupported:
        if getattr(body, param, None) not in (None, False):
            raise _unsupported(param)
    for param, only in row.fixed.items():
        given = getattr(body, param, None)
        if given is not None and given != only:
            raise _refuse(
                param,
                f"Unsupported value: '{param}' does not support {given:g} with this model. Only "
                f"the default ({only:g}) value is supported.",
                "unsupported_value",
            )
    for place, message in enumerate(body.messages):
        if message.role in row.unsupported_roles:
            param = f"messages[{place}].role"
            raise _refuse(
                param,
                f"Unsupported value: '{param}' does not support '{message.role}' with this model.",
                "unsupported_value",
            )


def _unsupported(param: str) -> BadRequestError:
    hint = " Use 'max_completion_tokens' instead." if param == "max_tokens" else ""
    return _refuse(
        param,
        f"Unsupported parameter: '{param}' is not supported with this model.{hint}",
        "unsupported_parameter",
    )


def _output_limit(body: Body, row: ModelRow) -> None:
    for param in ("max_tokens", "max_completion_tokens"):
        given, most = getattr(body, param), row.max_output_tokens
        if given is not None and most is not None and given > most:
            raise _refuse(
                param,
                f"{param} is too large: {given}. This model supports at most {most} completion "
                f"tokens, whereas you provided {given}.",
                "invalid_value",
            )
