"""Uploads over HTTP."""

from freehold.api.context import Context
from freehold.api.multipart import Form
from freehold.api.operation import operation
from freehold.resources.uploads import service
from freehold.wire.uploads import Upload, UploadCompleteParams, UploadCreateParams, UploadPart


@operation("createUpload")
async def create(context: Context, body: UploadCreateParams) -> Upload:
    return await service.create(context, body)


@operation("addUploadPart")
async def add_part(context: Context, upload_id: str, form: Form) -> UploadPart:
    return await service.add_part(context, upload_id, form)


@operation("completeUpload")
async def complete(context: Context, upload_id: str, body: UploadCompleteParams) -> Upload:
    return await service.complete(context, upload_id, body)


@operation("cancelUpload")
async def cancel(context: Context, upload_id: str) -> Upload:
    return await service.cancel(context, upload_id)
