"""Files over HTTP."""

from collections.abc import Mapping
from typing import Any

from freehold.api.answers import Content
from freehold.api.context import Context
from freehold.api.multipart import Form
from freehold.api.operation import operation
from freehold.resources.files import service
from freehold.wire.files import FileDeleted, FileListParams, FileObject


@operation("createFile")
async def create(context: Context, form: Form) -> FileObject:
    return await service.create(context, form)


@operation("listFiles")
async def list_(context: Context, query: FileListParams) -> dict[str, Any]:
    return await service.list_(context, query)


@operation("retrieveFile")
async def retrieve(context: Context, file_id: str) -> FileObject:
    return await service.retrieve(context, file_id)


@operation("deleteFile")
async def delete(context: Context, file_id: str) -> FileDeleted:
    return await service.delete(context, file_id)


@operation("downloadFile")
async def content(context: Context, file_id: str, headers: Mapping[bytes, bytes]) -> Content:
    return await service.content(context, file_id, headers)
