"""The tables of assistants: vector stores, threads and runs. A part of ``tables.py``."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from freehold.storage import fulltext
from freehold.storage.columns import (
    Attributes,
    Document,
    count,
    identifier,
    metadata,
    moment,
    refers,
    seq,
)

vector_stores = Table(
    "vector_stores",
    metadata,
    seq(),
    identifier(),
    refers("project_id", "projects.id", index=False),
    moment("created_at"),
    Column("name", Text),
    Column("metadata", Attributes),
    Column("embedding_model", Text, nullable=False),
    Column("expires_after_days", Integer),
    moment("last_active_at"),
    moment("expires_at", nullable=True),
    moment("deleted_at", nullable=True),  # gone for its project; what it holds goes bit by bit
    Index(None, "project_id", "seq"),
    Index(None, "expires_at"),
    sqlite_autoincrement=True,  # jobs and caches know rows by their number: none is used again
)

vector_store_files = Table(
    "vector_store_files",
    metadata,
    seq(),
    refers("vector_store_id", "vector_stores.id", delete_with=True, index=False),
    refers("file_id", "files.id", delete_with=True),
    moment("created_at"),
    Column("status", Text, nullable=False),  # in_progress, completed, cancelled, failed
    Column("error_code", Text),
    Column("error_message", Text),
    Column("chunk_tokens", Integer, nullable=False),
    Column("overlap_tokens", Integer, nullable=False),
    Column("attributes", Attributes, nullable=False),
    Column("job_id", Text),
    count("usage_bytes"),
    count("chunks"),
    count("last_chunk"),  # the number of the last one written: files indexed later have higher ones
    UniqueConstraint("vector_store_id", "file_id"),
    Index(None, "vector_store_id", "status", "chunks", "last_chunk"),
    sqlite_autoincrement=True,
)

vector_store_batches = Table(
    "vector_store_batches",
    metadata,
    seq(),
    identifier(),
    refers("vector_store_id", "vector_stores.id", delete_with=True),
    moment("created_at"),
    moment("cancelled_at", nullable=True),
)

# Which files of a store were added by which batch.
vector_store_batch_files = Table(
    "vector_store_batch_files",
    metadata,
    Column(
        "batch_id",
        Text,
        ForeignKey("vector_store_batches.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column(
        "file_seq",
        BigInteger,
        ForeignKey("vector_store_files.seq", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Index(None, "file_seq"),
)

# Pieces of files, each with its vector. Their words are indexed by ``fulltext.py``.
vector_store_chunks = Table(
    "vector_store_chunks",
    metadata,
    seq(),
    Column(
        "file_seq",
        BigInteger,
        ForeignKey("vector_store_files.seq", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("store_seq", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),  # character of the file's text
    Column("tokens", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # float32, of unit length
    Index(None, "file_seq"),
    sqlite_autoincrement=True,
)
fulltext.attach(vector_store_chunks)

assistants = Table(
    "assistants",
    metadata,
    seq(),
    identifier(),
    refers("project_id", "projects.id", index=False),
    moment("created_at"),
    Column("model", Text, nullable=False),
    Column("name", Text),
    Column("description", Text),
    Column("instructions", Text),
    Column("tools", Document, nullable=False),
    Column("tool_resources", Document, nullable=False),
    Column("response_format", Document, nullable=False),
    Column("temperature", Float, nullable=False),
    Column("top_p", Float, nullable=False),
    Column("metadata", Attributes, nullable=False),
    Index(None, "project_id", "seq"),
)

threads = Table(
    "threads",
    metadata,
    seq(),
    identifier(),
    refers("project_id", "projects.id"),
    moment("created_at"),
    Column("tool_resources", Document, nullable=False),
    Column("metadata", Attributes, nullable=False),
    Column("active_run_id", Text),  # the one run that has not ended: nothing else may be added
    moment("deleted_at", nullable=True),  # gone for everybody; the sweep removes what it holds
    Index(None, "deleted_at"),
)

messages = Table(
    "messages",
    metadata,
    seq(),
    identifier(),
    refers("thread_id", "threads.id", delete_with=True, index=False),
    moment("created_at"),
    Column("status", Text, nullable=False),  # in_progress, incomplete, completed
    Column("incomplete_reason", Text),
    moment("completed_at", nullable=True),
    moment("incomplete_at", nullable=True),
    Column("role", Text, nullable=False),
    Column("content", Document, nullable=False),  # its parts, as the API shows them
    Column("attachments", Document, nullable=False),
    Column("assistant_id", Text),
    Column("run_id", Text),
    Column("metadata", Attributes, nullable=False),
    Index(None, "thread_id", "seq"),
)

runs = Table(
    "runs",
    metadata,
    seq(),
    identifier(),
    refers("thread_id", "threads.id", delete_with=True, index=False),
    Column("project_id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("api_key_id", Text, nullable=False),  # who asked: models are used as if with this key
    Column("user_id", Text),
    Column("assistant_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    Column("tools", Document, nullable=False),
    Column("tool_resources", Document, nullable=False),  # the assistant's, or those given instead
    Column("response_format", Document, nullable=False),
    Column("temperature", Float, nullable=False),
    Column("top_p", Float, nullable=False),
    Column("max_prompt_tokens", BigInteger),
    Column("max_completion_tokens", BigInteger),
    Column("truncation_strategy", Document, nullable=False),
    Column("tool_choice", Document, nullable=False),
    Column("parallel_tool_calls", Boolean, nullable=False),
    Column("metadata", Attributes, nullable=False),
    Column("required_action", Document),
    Column("last_error", Document),
    Column("incomplete_reason", Text),
    Column("turn", Integer, nullable=False),  # how often outputs were submitted: one job for each
    count("prompt_tokens"),
    count("completion_tokens"),
    moment("created_at"),
    moment("expires_at"),
    moment("started_at", nullable=True),
    moment("cancelled_at", nullable=True),
    moment("failed_at", nullable=True),
    moment("completed_at", nullable=True),
    # Of temperature and top_p what was asked for: where it was nothing, the API shows 1.
    Column("sampling", Document),
    Index(None, "thread_id", "seq"),
)

run_steps = Table(
    "run_steps",
    metadata,
    seq(),
    identifier(),
    refers("run_id", "runs.id", delete_with=True, index=False),
    Column("type", Text, nullable=False),  # message_creation, tool_calls
    Column("status", Text, nullable=False),
    Column("details", Document, nullable=False),  # as the API shows them
    Column("calls", Document),  # as the model made them, and what it was told
    Column("last_error", Document),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    moment("created_at"),
    moment("expired_at", nullable=True),
    moment("cancelled_at", nullable=True),
    moment("failed_at", nullable=True),
    moment("completed_at", nullable=True),
    Index(None, "run_id", "seq"),
)
