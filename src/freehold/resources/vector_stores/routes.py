"""Vector stores over HTTP."""

from typing import Any

from freehold.api.context import Context
from freehold.api.operation import operation
from freehold.resources.vector_stores import asking, batches, files, service
from freehold.wire.vector_stores import (
    FileBatchCreateParams,
    FileContent,
    FileCreateParams,
    FileListParams,
    FileUpdateParams,
    PageQuery,
    SearchResults,
    VectorStore,
    VectorStoreCreateParams,
    VectorStoreDeleted,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileDeleted,
    VectorStoreSearchParams,
    VectorStoreUpdateParams,
)


@operation("createVectorStore")
async def create(context: Context, body: VectorStoreCreateParams) -> VectorStore:
    return await service.create(context, body)


@operation("listVectorStores")
async def list_(context: Context, query: PageQuery) -> dict[str, Any]:
    return await service.list_(context, query)


@operation("getVectorStore")
async def retrieve(context: Context, vector_store_id: str) -> VectorStore:
    return await service.retrieve(context, vector_store_id)


@operation("modifyVectorStore")
async def update(
    context: Context, vector_store_id: str, body: VectorStoreUpdateParams
) -> VectorStore:
    return await service.update(context, vector_store_id, body)


@operation("deleteVectorStore")
async def delete(context: Context, vector_store_id: str) -> VectorStoreDeleted:
    return await service.delete(context, vector_store_id)


@operation("searchVectorStore")
async def search(
    context: Context, vector_store_id: str, body: VectorStoreSearchParams
) -> SearchResults:
    return await asking.ask(context, vector_store_id, body)


@operation("createVectorStoreFile")
async def create_file(
    context: Context, vector_store_id: str, body: FileCreateParams
) -> VectorStoreFile:
    return await files.create(context, vector_store_id, body)


@operation("listVectorStoreFiles")
async def list_files(
    context: Context, vector_store_id: str, query: FileListParams
) -> dict[str, Any]:
    return await files.list_(context, vector_store_id, query)


@operation("getVectorStoreFile")
async def retrieve_file(context: Context, vector_store_id: str, file_id: str) -> VectorStoreFile:
    return await files.retrieve(context, vector_store_id, file_id)


@operation("updateVectorStoreFileAttributes")
async def update_file(
    context: Context, vector_store_id: str, file_id: str, body: FileUpdateParams
) -> VectorStoreFile:
    return await files.update(context, vector_store_id, file_id, body)


@operation("retrieveVectorStoreFileContent")
async def file_content(context: Context, vector_store_id: str, file_id: str) -> FileContent:
    return await files.content(context, vector_store_id, file_id)


@operation("deleteVectorStoreFile")
async def delete_file(
    context: Context, vector_store_id: str, file_id: str
) -> VectorStoreFileDeleted:
    return await files.delete(context, vector_store_id, file_id)


@operation("createVectorStoreFileBatch")
async def create_batch(
    context: Context, vector_store_id: str, body: FileBatchCreateParams
) -> VectorStoreFileBatch:
    return await batches.create(context, vector_store_id, body)


@operation("getVectorStoreFileBatch")
async def retrieve_batch(
    context: Context, vector_store_id: str, batch_id: str
) -> VectorStoreFileBatch:
    return await batches.retrieve(context, vector_store_id, batch_id)


@operation("cancelVectorStoreFileBatch")
async def cancel_batch(
    context: Context, vector_store_id: str, batch_id: str
) -> VectorStoreFileBatch:
    return await batches.cancel(context, vector_store_id, batch_id)


@operation("listFilesInVectorStoreBatch")
async def list_batch_files(
    context: Context, vector_store_id: str, batch_id: str, query: FileListParams
) -> dict[str, Any]:
    return await files.list_(context, vector_store_id, query, batch_id)
