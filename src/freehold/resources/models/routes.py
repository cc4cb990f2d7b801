"""Models over HTTP."""

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.resources.models import service
from freehold.wire.models import Model, ModelDeleted, ModelList


@operation("listModels")
async def list_(context: Context) -> ModelList:
    return service.list_(context)


@operation("retrieveModel")
async def retrieve(context: Context, model: str) -> Model:
    return service.retrieve(context, model)


@operation("deleteModel")
async def delete(context: Context, model: str) -> ModelDeleted:
    return service.delete(context, model)
