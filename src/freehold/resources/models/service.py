"""Models: what can be asked for."""

from freehold.api.context import Context
from freehold.core.errors import NotFoundError, PermissionDeniedError
from freehold.data.models import Listed
from freehold.wire.models import Model, ModelDeleted, ModelList


def list_(context: Context) -> ModelList:
    """Return every model: OpenAI's ids with their aliases, then the operator's own."""
    listed = context.services.registry.models()
    return ModelList(object="list", data=[_model(model) for model in listed])


def retrieve(context: Context, model: str) -> Model:
    """Return one model. Raises ``NotFoundError`` (``model_not_found``)."""
    return _model(_find(context, model))


def delete(context: Context, model: str) -> ModelDeleted:
    """Refuse: base models stay, and no fine-tuned ones exist yet."""
    _find(context, model)
    raise PermissionDeniedError(
        f"You can't delete the model `{model}`: only fine-tuned models of your organization can "
        "be deleted. (The operator removes models of this server with `freehold models remove`.)",
        code="model_not_deletable",
    )


def _find(context: Context, model: str) -> Listed:
    found = next((m for m in context.services.registry.models() if m.id == model), None)
    if found is None:
        raise NotFoundError(
            f"The model '{model}' does not exist", param="model", code="model_not_found"
        )
    return found


def _model(listed: Listed) -> Model:
    return Model(id=listed.id, object="model", created=listed.created, owned_by=listed.owned_by)
