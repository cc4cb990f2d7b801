"""What tools work with: the files and vector stores of an assistant or a thread.

They are kept as the API shows them: ``{"code_interpreter": {"file_ids": [...]}, "file_search":
{"vector_store_ids": [...]}}``, each part only where it was given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from freehold.api.context import Context, Services
from freehold.core.errors import BadRequestError, NotFoundError
from freehold.core.ids import new_id
from freehold.resources.files import library
from freehold.resources.vector_stores import service as vector_stores
from freehold.wire.assistants import ToolResources, ToolResourcesParam
from freehold.wire.vector_stores import ExpiresAfter, VectorStoreCreateParams

Kept = dict[str, dict[str, list[str]]]
OF_TOOLS = ("assistants", "assistants_output", "vision")  # purposes of files that tools may have


@dataclass(frozen=True, slots=True)
class Plan:
    """The resources of something new, and the vector store that is to be made for it."""

    kept: Kept
    store: VectorStoreCreateParams | None = None

    def carry_out(self, connection: Connection, services: Services, project_id: str) -> None:
        """Make the store in the caller's own unit; afterwards wake the jobs."""
        if self.store is not None:
            [store_id] = self.kept["file_search"]["vector_store_ids"]
            vector_stores.make(connection, services, project_id, self.store, store_id)


def plan(
    given: ToolResourcesParam | None, *, days: int | None = None, needs_store: bool = False
) -> Plan:
    """Return what was given; a new store expires after ``days`` without use.

    ``needs_store`` plans an empty one where none was given.
    """
    resources = kept(given)
    if resources.get("file_search", {}).get("vector_store_ids"):
        return Plan(resources)
    inline = (given.file_search.vector_stores if given and given.file_search else None) or []
    if not inline and not needs_store:
        return Plan(resources)
    fields = {name: getattr(one, name) for one in inline for name in type(one).model_fields}
    expiry = None if days is None else ExpiresAfter(anchor="last_active_at", days=days)
    store = VectorStoreCreateParams(**fields, expires_after=expiry)
    ids = {"vector_store_ids": [new_id("vector_store")]}
    return Plan({**resources, "file_search": ids}, store)


async def check(context: Context, given: ToolResources | ToolResourcesParam | None) -> None:
    """Refuse what does not exist or is not meant for tools."""
    if given is not None and given.code_interpreter is not None:
        for place, file_id in enumerate(given.code_interpreter.file_ids or ()):
            param = f"tool_resources.code_interpreter.file_ids[{place}]"
            await check_file(context, file_id, param)
    if given is None or given.file_search is None:
        return
    param = "tool_resources.file_search.vector_store_ids"
    store_ids = given.file_search.vector_store_ids
    if store_ids and getattr(given.file_search, "vector_stores", None):
        raise BadRequestError(
            "Only one of 'vector_store_ids' and 'vector_stores' can be given.",
            param="tool_resources.file_search",
            code="invalid_value",
        )
    await vector_stores.check(context, store_ids or [], param)


async def check_file(
    context: Context, file_id: str, param: str, purposes: Sequence[str] = OF_TOOLS
) -> Row[Any]:
    """Return the file, or refuse one that is missing or was uploaded for something else."""
    try:
        file = await library.find(context.services, context.project_id, file_id)
    except NotFoundError as error:
        raise NotFoundError(error.message, param=param) from None
    if file.purpose not in purposes:
        raise BadRequestError(
            f"Invalid '{param}': the file '{file_id}' has the purpose '{file.purpose}'. "
            f"Upload it with the purpose '{purposes[0]}'.",
            param=param,
            code="invalid_value",
        )
    return file


def kept(given: ToolResources | ToolResourcesParam | None) -> Kept:
    """Return the ids that were given as they are kept; no list holds one twice."""
    resources: Kept = {}
    if given is not None and given.code_interpreter is not None:
        resources["code_interpreter"] = {"file_ids": _once(given.code_interpreter.file_ids)}
    if given is not None and given.file_search is not None:
        resources["file_search"] = {"vector_store_ids": _once(given.file_search.vector_store_ids)}
    return resources


def changed(old: Mapping[str, Any], given: ToolResources | None) -> Kept:
    """Return what an update leaves: each tool that is given has new resources; null clears all."""
    return {} if given is None else {**old, **kept(given)}


def _once(ids: Sequence[str] | None) -> list[str]:
    return list(dict.fromkeys(ids or ()))
