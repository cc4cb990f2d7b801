"""Vector stores: what the operations on them, their files and batches take and answer."""

from typing import Annotated, Any, Literal

from pydantic import Tag

from freehold.wire.shared import Answer, Defaulted, Id, Params, Query, by_field, by_kind

_Scalar = (
    Annotated[str, Tag("<string>")]
    | Annotated[float, Tag("<number>")]
    | Annotated[bool, Tag("<boolean>")]
)
Attributes = dict[str, Annotated[_Scalar, by_kind("one of a string, number or boolean")]]
FileStatus = Literal["in_progress", "completed", "cancelled", "failed"]


class ExpiresAfter(Params):
    anchor: Literal["last_active_at"]
    days: int


class AutoFileChunkingStrategyParam(Params):
    type: Literal["auto"]


class StaticFileChunkingStrategy(Params):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class StaticFileChunkingStrategyParam(Params):
    type: Literal["static"]
    static: StaticFileChunkingStrategy


FileChunkingStrategyParam = Annotated[
    Annotated[AutoFileChunkingStrategyParam, Tag("<auto>")]
    | Annotated[StaticFileChunkingStrategyParam, Tag("<static>")],
    by_field("type", "auto", "static"),
]


class VectorStoreCreateParams(Params):
    """The body of ``createVectorStore``."""

    file_ids: list[Id] | None = None
    name: str | None = None
    expires_after: ExpiresAfter | None = None
    chunking_strategy: FileChunkingStrategyParam | None = None
    metadata: dict[str, str] | None = None


class VectorStoreUpdateParams(Params):
    """The body of ``modifyVectorStore``; what is not in it stays as it is."""

    name: str | None = None
    expires_after: ExpiresAfter | None = None
    metadata: dict[str, str] | None = None


class PageQuery(Query):
    """One page of a list; the cursors are ids of objects on both sides of it."""

    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None


class FileListParams(PageQuery):
    """The query of ``listVectorStoreFiles`` and ``listFilesInVectorStoreBatch``."""

    filter: FileStatus | None = None


class FileCreateParams(Params):
    """The body of ``createVectorStoreFile``."""

    file_id: Id
    chunking_strategy: FileChunkingStrategyParam | None = None
    attributes: Attributes | None = None


class FileUpdateParams(Params):
    """The body of ``updateVectorStoreFileAttributes``."""

    attributes: Attributes | None


class FileBatchCreateParams(Params):
    """The body of ``createVectorStoreFileBatch``: files that share all, or each with its own."""

    file_ids: list[Id] | None = None
    files: list[FileCreateParams] | None = None
    chunking_strategy: FileChunkingStrategyParam | None = None
    attributes: Attributes | None = None


_Member = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[float, Tag("<number>")],
    by_kind("one of a string or number"),
]


class ComparisonFilter(Params):
    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str
    value: Annotated[
        _Scalar | Annotated[list[_Member], Tag("<array>")],
        by_kind("one of a string, number, boolean or array"),
    ]


class CompoundFilter(Params):
    type: Literal["and", "or"]
    filters: "list[Filter]"


_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
Filter = Annotated[
    Annotated[ComparisonFilter, Tag("<eq>")]
    | Annotated[ComparisonFilter, Tag("<ne>")]
    | Annotated[ComparisonFilter, Tag("<gt>")]
    | Annotated[ComparisonFilter, Tag("<gte>")]
    | Annotated[ComparisonFilter, Tag("<lt>")]
    | Annotated[ComparisonFilter, Tag("<lte>")]
    | Annotated[ComparisonFilter, Tag("<in>")]
    | Annotated[ComparisonFilter, Tag("<nin>")]
    | Annotated[CompoundFilter, Tag("<and>")]
    | Annotated[CompoundFilter, Tag("<or>")],
    by_field("type", *_COMPARISONS, "and", "or"),
]


class RankingOptions(Defaulted):
    ranker: Literal["none", "auto", "default-2024-11-15", "default_2024_08_21"] = "auto"
    score_threshold: float = 0.0


class VectorStoreSearchParams(Defaulted):
    """The body of ``searchVectorStore``."""

    query: Annotated[
        Annotated[str, Tag("<string>")] | Annotated[list[str], Tag("<array>")],
        by_kind("a string or an array of strings"),
    ]
    rewrite_query: bool = False
    max_num_results: int = 10
    filters: Filter | None = None
    ranking_options: RankingOptions = RankingOptions()


class FileCounts(Answer):
    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class ExpiresAfterAnswer(Answer):
    anchor: Literal["last_active_at"]
    days: int


class VectorStore(Answer):
    """A vector store; ``completed`` once none of its files is being indexed."""

    id: str
    object: Literal["vector_store"]
    created_at: int
    name: str
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["expired", "in_progress", "completed"]
    expires_after: ExpiresAfterAnswer | None = None
    expires_at: int | None = None
    last_active_at: int
    metadata: dict[str, str] | None


class VectorStoreDeleted(Answer):
    id: str
    object: Literal["vector_store.deleted"]
    deleted: bool


class LastError(Answer):
    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class StaticChunks(Answer):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class StaticChunking(Answer):
    type: Literal["static"]
    static: StaticChunks


class VectorStoreFile(Answer):
    """A file in a vector store; ``completed`` is one that searches find."""

    id: str
    object: Literal["vector_store.file"]
    usage_bytes: int
    created_at: int
    vector_store_id: str
    status: FileStatus
    last_error: LastError | None
    chunking_strategy: StaticChunking
    attributes: Attributes


class VectorStoreFileDeleted(Answer):
    id: str
    object: Literal["vector_store.file.deleted"]
    deleted: bool


class VectorStoreFileBatch(Answer):
    id: str
    object: Literal["vector_store.files_batch"]
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    file_counts: FileCounts


class Content(Answer):
    type: Literal["text"]
    text: str


class FileContent(Answer):
    """The text of a file, as it was indexed."""

    object: Literal["vector_store.file_content.page"]
    data: list[Content]
    has_more: bool
    next_page: str | None


class SearchResult(Answer):
    """A chunk that was found; the higher its score, the better, from 0 to 1."""

    file_id: str
    filename: str
    score: float
    attributes: Attributes
    content: list[Content]


class SearchResults(Answer):
    object: Literal["vector_store.search_results.page"]
    search_query: list[str]
    data: list[SearchResult]
    has_more: bool
    next_page: str | None


def as_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as one object of a page."""
    return answer.model_dump(exclude_unset=True)
