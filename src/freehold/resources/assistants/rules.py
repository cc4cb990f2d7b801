"""What an assistant may be, and a run that overrides it: its model, tools and answer's format."""

from collections.abc import Sequence

from freehold.core.errors import BadRequestError
from freehold.engines.base import JSONSchema
from freehold.engines.grammar import check_schema
from freehold.engines.registry import Model, Registry
from freehold.resources.chat import strict
from freehold.wire.assistants import (
    AssistantResponseFormatOptionParam,
    AssistantToolParam,
    FunctionToolParam,
)
from freehold.wire.shared import FunctionDefinition, ResponseFormatJSONSchema


def check_model(registry: Registry, model_id: str) -> Model:
    """Return the model. Raises ``NotFoundError``, or ``BadRequestError`` where it can't assist."""
    model = registry.find(model_id)
    if "createAssistant" not in model.row.operations:
        raise BadRequestError(
            f"The requested model '{model_id}' cannot be used with the Assistants API.",
            param="model",
            code="unsupported_model",
        )
    return model


def check_tools(tools: Sequence[AssistantToolParam]) -> None:
    """Refuse two tools that could not be told apart, and schemas that can't be kept to."""
    seen: set[str] = set()
    for place, tool in enumerate(tools):
        is_function = isinstance(tool, FunctionToolParam)
        name = f"function {tool.function.name}" if is_function else tool.type
        if name in seen:
            raise BadRequestError(
                f"Invalid 'tools[{place}]': there is already a tool '{name}'.",
                param=f"tools[{place}]",
                code="invalid_value",
            )
        seen.add(name)
        if is_function:
            _check_function(tool.function, f"tools[{place}].function.parameters")


def check_format(wanted: AssistantResponseFormatOptionParam | None) -> None:
    """Refuse a schema for answers that can't be kept to."""
    if not isinstance(wanted, ResponseFormatJSONSchema):
        return
    given = wanted.json_schema
    fault = _fault(given.schema_ or {"type": "object"}, strictly=bool(given.strict))
    if fault:
        raise BadRequestError(
            f"Invalid schema for response_format '{given.name}': {fault}", param="response_format"
        )


def _check_function(function: FunctionDefinition, param: str) -> None:
    if function.parameters is None:
        return
    fault = _fault(function.parameters, strictly=True) if function.strict else None
    if fault:
        raise BadRequestError(
            f"Invalid schema for function '{function.name}': {fault}",
            param=param,
            code="invalid_function_parameters",
        )


def _fault(schema: JSONSchema, *, strictly: bool) -> str | None:
    return (strict.fault(schema) if strictly else None) or check_schema(schema)
