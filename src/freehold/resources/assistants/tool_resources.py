"""What tools work with: the files and vector stores of an assistant or a thread.

They are kept as the API shows them: ``{"code_interpreter": {"file_ids": [...]}, "file_search":
{"vector_store_ids": [...]}}``, each part only where it was given.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from freehold.api.context import Context
from freehold.core.errors import BadRequestError, NotFoundError
from freehold.resources.files import library
from freehold.wire.assistants import ToolResources

Kept = dict[str, dict[str, list[str]]]
OF_TOOLS = ("assistants", "assistants_output", "vision")  # purposes of files that tools may have


async def check(context: Context, given: ToolResources | None) -> None:
    """Refuse what does not exist or is not meant for tools."""
    if given is None or given.code_interpreter is None:
        return
    param = "tool_resources.code_interpreter.file_ids"
    await check_files(context, given.code_interpreter.file_ids or [], param)


async def check_files(
    context: Context, file_ids: Sequence[str], param: str, purposes: Sequence[str] = OF_TOOLS
) -> None:
    """Refuse files that the project does not have, or that were uploaded for something else.

    ``param`` names the list, or the field itself where it ends in ``]`` or holds one id only.
    """
    for place, file_id in enumerate(file_ids):
        where = f"{param}[{place}]" if param.endswith("_ids") else param
        try:
            file = await library.find(context.services, context.project_id, file_id)
        except NotFoundError as error:
            raise NotFoundError(error.message, param=where) from None
        if file.purpose not in purposes:
            raise BadRequestError(
                f"Invalid '{where}': the file '{file_id}' has the purpose '{file.purpose}'. "
                f"Upload it with the purpose '{purposes[0]}'.",
                param=where,
                code="invalid_value",
            )


def kept(given: ToolResources | None) -> Kept:
    """Return what was given as it is kept; no list holds an id twice."""
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
