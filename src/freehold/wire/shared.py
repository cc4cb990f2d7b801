"""What the modules of wire types share: strictness, and unions that choose one branch.

A plain union tries every branch and reports the faults of all. Ours look at the value first, so
that a fault is reported once, of the branch that was meant. Their tags stand in ``<>`` and are
dropped from the ``param`` of an error; the message of their errors is data for ``errors.py``.
"""

from typing import Annotated, Any, Final, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, model_validator
from pydantic_core import PydanticCustomError

_TAGS: dict[type, str] = {
    str: "<string>",
    list: "<array>",
    dict: "<object>",
    bool: "<boolean>",
    int: "<number>",
    float: "<number>",
}


_NO_NUL: Final = r"[^\x00]*"  # what not every database could look for


def _check_id(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("wrong_text", _NO_NUL)
    return value


Id = Annotated[str, AfterValidator(_check_id)]


class Params(BaseModel):
    """A request: nothing is coerced, an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def given(self) -> dict[str, Any]:
        """Return the fields that were given, named as in the API; null counts as left out."""
        return self.model_dump(exclude_unset=True, exclude_none=True, by_alias=True)


class Defaulted(Params):
    """A request, or a part of one, in which null stands for a field's default."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        fields = cast("dict[str, Any]", value)
        return {name: given for name, given in fields.items() if given is not None}


class Query(BaseModel):
    """The parameters of a query: text that is read as what the field needs."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ListQuery(Query):
    """One page of a list; ``after`` is the id of the last object of the page before."""

    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "asc"


class Answer(BaseModel):
    """A response. Only fields that were set are sent: what is always sent has no default."""

    model_config = ConfigDict(extra="forbid", strict=True)


def by_field(name: str, *values: str) -> Discriminator:
    """Choose the branch tagged ``<value>`` by the value of a field."""

    def choose(value: Any) -> str:
        if isinstance(value, dict):
            return f"<{cast('dict[str, Any]', value).get(name)}>"
        return f"<{getattr(value, name, None)}>"

    return Discriminator(
        choose,
        custom_error_type="wrong_field",
        custom_error_message=f"{name}:{','.join(values)}",
    )


def by_kind(expected: str) -> Discriminator:
    """Choose the branch tagged ``<string>``, ``<array>`` or ``<object>`` by the kind of value."""

    def choose(value: Any) -> str:
        kind = cast("type[Any]", type(value))
        return "<object>" if isinstance(value, BaseModel) else _TAGS.get(kind, "<other>")

    return Discriminator(
        choose,
        custom_error_type="wrong_kind",
        custom_error_message=expected,
    )


class ResponseFormatText(Params):
    type: Literal["text"]


class ResponseFormatJSONObject(Params):
    type: Literal["json_object"]


class JSONSchema(Params):
    name: str
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class ResponseFormatJSONSchema(Params):
    type: Literal["json_schema"]
    json_schema: JSONSchema


class FunctionDefinition(Params):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class CompletionTokensDetails(Answer):
    accepted_prediction_tokens: int
    audio_tokens: int
    reasoning_tokens: int
    rejected_prediction_tokens: int


class PromptTokensDetails(Answer):
    audio_tokens: int
    cached_tokens: int


class CompletionUsage(Answer):
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    completion_tokens_details: CompletionTokensDetails | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
