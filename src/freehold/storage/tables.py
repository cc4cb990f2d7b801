"""The schema. Migrations bring a database to it; a test holds the two together.

Ids are OpenAI's prefixed strings, times whole seconds since 1970. ``seq`` numbers rows in the order
of insertion: lists sort by it, because ids are random and many rows share a second. Roles, kinds
and statuses are checked by the wire types, so a new one needs no migration.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from freehold.storage import fulltext

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Kept as written: key order (a JSON schema's properties) and \u0000 survive, as JSONB's would not.
_Document = JSON
# Searched by key.
_Attributes = JSON().with_variant(JSONB(), "postgresql")


def _seq() -> Column[int]:
    # SQLite numbers only an INTEGER PRIMARY KEY by itself.
    return Column("seq", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)


def _id() -> Column[str]:
    return Column("id", Text, nullable=False, unique=True)


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _refers(
    name: str,
    target: str,
    *,
    nullable: bool = False,
    delete_with: bool = False,
    index: bool = True,  # unless a constraint already begins with this column
) -> Column[str]:
    key = ForeignKey(target, ondelete="CASCADE" if delete_with else None)
    return Column(name, Text, key, nullable=nullable, index=index)


organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    _time("created_at"),
)

projects = Table(
    "projects",
    metadata,
    _seq(),
    _id(),
    _refers("organization_id", "organizations.id"),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="active"),  # or archived
    _time("created_at"),
    _time("archived_at", nullable=True),
    Column("zero_data_retention", Boolean, nullable=False, server_default=false()),
    Column("is_default", Boolean, nullable=False, server_default=false()),
)

users = Table(
    "users",
    metadata,
    _seq(),
    _id(),
    _refers("organization_id", "organizations.id", index=False),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),  # owner, reader
    _time("added_at"),
    UniqueConstraint("organization_id", "email"),
)

project_users = Table(
    "project_users",
    metadata,
    _seq(),
    _refers("project_id", "projects.id", index=False),
    _refers("user_id", "users.id", delete_with=True),
    Column("role", Text, nullable=False),  # owner, member
    _time("added_at"),
    UniqueConstraint("project_id", "user_id"),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    _seq(),
    _id(),
    _refers("project_id", "projects.id"),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # owner, member
    _time("created_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _seq(),
    _id(),
    Column("kind", Text, nullable=False),  # project, admin, service_account
    _refers("organization_id", "organizations.id"),
    _refers("project_id", "projects.id", nullable=True),  # none for an admin key
    _refers("user_id", "users.id", nullable=True, delete_with=True),
    _refers("service_account_id", "service_accounts.id", nullable=True, delete_with=True),
    Column("name", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    Column("redacted_value", Text, nullable=False),
    _time("created_at"),
    _time("last_used_at", nullable=True),
    _time("revoked_at", nullable=True),
)

# What an operator has set; a null or missing figure is the default of limits.toml.
project_rate_limits = Table(
    "project_rate_limits",
    metadata,
    _seq(),
    _id(),
    _refers("project_id", "projects.id", index=False),
    Column("model", Text, nullable=False),
    Column("max_requests_per_1_minute", BigInteger),
    Column("max_tokens_per_1_minute", BigInteger),
    Column("max_images_per_1_minute", BigInteger),
    Column("max_audio_megabytes_per_1_minute", BigInteger),
    Column("max_requests_per_1_day", BigInteger),
    Column("batch_1_day_max_input_tokens", BigInteger),
    UniqueConstraint("project_id", "model"),
)

# One row per answer. It outlives the key, user and project it names, hence no foreign keys.
usage_events = Table(
    "usage_events",
    metadata,
    _seq(),
    _time("at"),
    Column("project_id", Text, nullable=False),
    Column("api_key_id", Text),
    Column("user_id", Text),
    Column("service_account_id", Text),
    Column("model", Text),
    Column("endpoint", Text, nullable=False),  # operation id
    _count("requests"),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("input_cached_tokens"),
    _count("input_audio_tokens"),
    _count("output_audio_tokens"),
    _count("images"),
    Column("image_size", Text),
    Column("image_source", Text),  # generation, edit, variation
    _count("characters"),
    Column("seconds", Float, nullable=False, server_default="0"),
    Column("batch", Boolean, nullable=False, server_default=false()),
    Index(None, "at"),
    Index(None, "project_id", "at"),
)

chat_completions = Table(
    "chat_completions",
    metadata,
    _seq(),
    _id(),
    _refers("project_id", "projects.id", index=False),
    _time("created"),
    Column("model", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("request", _Document, nullable=False),  # holds the input messages
    Column("response", _Document, nullable=False),
    Column("metadata", _Attributes, nullable=False),
    Index(None, "project_id", "seq"),
)

_LIVE = text("state IN ('queued', 'running')")

# Work that survives: leased by one worker at a time, run again when its lease has run out.
jobs = Table(
    "jobs",
    metadata,
    _seq(),
    _id(),
    Column("kind", Text, nullable=False),  # names the handler
    Column("key", Text),  # what it is about; of one kind and key one job lives at a time
    Column("project_id", Text),  # none for work of the server's own
    Column("state", Text, nullable=False),  # queued, running, done, failed, cancelled
    Column("priority", Integer, nullable=False),  # higher ones first
    Column("payload", _Document, nullable=False),
    Column("checkpoint", _Document),
    Column("attempts", Integer, nullable=False, server_default="0"),  # ended by an error
    Column("losses", Integer, nullable=False, server_default="0"),  # workers lost, no step further
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("worker", Text),
    Column("error", Text),
    _time("created_at"),
    _time("run_at"),  # not before
    _time("started_at", nullable=True),
    _time("lease_ends_at", nullable=True),
    _time("finished_at", nullable=True),
    Index(None, "state", "run_at"),
    Index(
        "uq_jobs_live_key",
        "kind",
        "key",
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    ),
)

# Every blob has a row from before its first byte until after its last: whatever a crash leaves
# behind is found by its row. A name is never used again.
blobs = Table(
    "blobs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),  # writing, kept, deleted
    _time("since"),  # of writing: when its writer was last seen
    Index(None, "state", "since"),
)

files = Table(
    "files",
    metadata,
    _seq(),
    _id(),
    _refers("organization_id", "organizations.id", index=False),
    _refers("project_id", "projects.id", index=False),
    _time("created_at"),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("blob", Text, nullable=False),
    Index(None, "project_id", "seq"),
    Index(None, "organization_id", "bytes"),
)

# What was appended to a file that the server is still making, in order.
output_pieces = Table(
    "output_pieces",
    metadata,
    _seq(),
    Column("draft", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index(None, "draft", "seq"),
)

uploads = Table(
    "uploads",
    metadata,
    _seq(),
    _id(),
    _refers("organization_id", "organizations.id", index=False),
    _refers("project_id", "projects.id", index=False),
    _time("created_at"),
    _time("expires_at"),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("status", Text, nullable=False),  # pending, completing, completed, cancelled
    Column("file_id", Text),  # chosen when completing begins
    Column("part_ids", _Document),
    Column("md5", Text),
    Column("job_id", Text),
    Column("fault", _Document),  # why completing failed
    Index(None, "organization_id", "status"),
    Index(None, "status", "expires_at"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    _seq(),
    _id(),
    _refers("upload_id", "uploads.id", delete_with=True),
    _time("created_at"),
    Column("bytes", BigInteger, nullable=False),
    Column("blob", Text, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    _seq(),
    _id(),
    _refers("project_id", "projects.id", index=False),
    Column("organization_id", Text, nullable=False),
    Column("api_key_id", Text, nullable=False),  # who asked: its lines run as if sent with this key
    Column("user_id", Text),
    Column("endpoint", Text, nullable=False),
    Column("input_file_id", Text, nullable=False),
    Column("completion_window", Text, nullable=False),
    Column("model", Text),  # of all lines; known once they have been validated
    Column("status", Text, nullable=False),
    Column("ends_as", Text),  # the status that finalizing leads to
    Column("errors", _Document),
    Column("metadata", _Attributes),
    Column("output_file_id", Text),
    Column("error_file_id", Text),
    _count("total"),
    _count("completed"),
    _count("failed"),
    _time("created_at"),
    _time("in_progress_at", nullable=True),
    _time("expires_at"),
    _time("finalizing_at", nullable=True),
    _time("completed_at", nullable=True),
    _time("failed_at", nullable=True),
    _time("expired_at", nullable=True),
    _time("cancelling_at", nullable=True),
    _time("cancelled_at", nullable=True),
    Index(None, "project_id", "seq"),
)

# The lines of running batches that have their result: each has one, whatever happens.
batch_lines = Table(
    "batch_lines",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
)

vector_stores = Table(
    "vector_stores",
    metadata,
    _seq(),
    _id(),
    _refers("project_id", "projects.id", index=False),
    _time("created_at"),
    Column("name", Text),
    Column("metadata", _Attributes),
    Column("embedding_model", Text, nullable=False),
    Column("expires_after_days", Integer),
    _time("last_active_at"),
    _time("expires_at", nullable=True),
    _time("deleted_at", nullable=True),  # gone for its project; what it holds goes bit by bit
    Index(None, "project_id", "seq"),
    Index(None, "expires_at"),
    sqlite_autoincrement=True,  # jobs and caches know rows by their number: none is used again
)

vector_store_files = Table(
    "vector_store_files",
    metadata,
    _seq(),
    _refers("vector_store_id", "vector_stores.id", delete_with=True, index=False),
    _refers("file_id", "files.id", delete_with=True),
    _time("created_at"),
    Column("status", Text, nullable=False),  # in_progress, completed, cancelled, failed
    Column("error_code", Text),
    Column("error_message", Text),
    Column("chunk_tokens", Integer, nullable=False),
    Column("overlap_tokens", Integer, nullable=False),
    Column("attributes", _Attributes, nullable=False),
    Column("job_id", Text),
    _count("usage_bytes"),
    _count("chunks"),
    _count(
        "last_chunk"
    ),  # the number of the last one written: files indexed later have higher ones
    UniqueConstraint("vector_store_id", "file_id"),
    Index(None, "vector_store_id", "status", "chunks", "last_chunk"),
    sqlite_autoincrement=True,
)

vector_store_batches = Table(
    "vector_store_batches",
    metadata,
    _seq(),
    _id(),
    _refers("vector_store_id", "vector_stores.id", delete_with=True),
    _time("created_at"),
    _time("cancelled_at", nullable=True),
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
    _seq(),
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
    _seq(),
    _id(),
    _refers("project_id", "projects.id", index=False),
    _time("created_at"),
    Column("model", Text, nullable=False),
    Column("name", Text),
    Column("description", Text),
    Column("instructions", Text),
    Column("tools", _Document, nullable=False),
    Column("tool_resources", _Document, nullable=False),
    Column("response_format", _Document, nullable=False),
    Column("temperature", Float, nullable=False),
    Column("top_p", Float, nullable=False),
    Column("metadata", _Attributes, nullable=False),
    Index(None, "project_id", "seq"),
)

threads = Table(
    "threads",
    metadata,
    _seq(),
    _id(),
    _refers("project_id", "projects.id"),
    _time("created_at"),
    Column("tool_resources", _Document, nullable=False),
    Column("metadata", _Attributes, nullable=False),
    Column("active_run_id", Text),  # the one run that has not ended: nothing else may be added
    _time("deleted_at", nullable=True),  # gone for everybody; the sweep removes what it holds
    Index(None, "deleted_at"),
)

messages = Table(
    "messages",
    metadata,
    _seq(),
    _id(),
    _refers("thread_id", "threads.id", delete_with=True, index=False),
    _time("created_at"),
    Column("status", Text, nullable=False),  # in_progress, incomplete, completed
    Column("incomplete_reason", Text),
    _time("completed_at", nullable=True),
    _time("incomplete_at", nullable=True),
    Column("role", Text, nullable=False),
    Column("content", _Document, nullable=False),  # its parts, as the API shows them
    Column("attachments", _Document, nullable=False),
    Column("assistant_id", Text),
    Column("run_id", Text),
    Column("metadata", _Attributes, nullable=False),
    Index(None, "thread_id", "seq"),
)

runs = Table(
    "runs",
    metadata,
    _seq(),
    _id(),
    _refers("thread_id", "threads.id", delete_with=True, index=False),
    Column("project_id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("api_key_id", Text, nullable=False),  # who asked: models are used as if with this key
    Column("user_id", Text),
    Column("assistant_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    Column("tools", _Document, nullable=False),
    Column("tool_resources", _Document, nullable=False),  # the assistant's, or those given instead
    Column("response_format", _Document, nullable=False),
    Column("temperature", Float, nullable=False),
    Column("top_p", Float, nullable=False),
    Column("max_prompt_tokens", BigInteger),
    Column("max_completion_tokens", BigInteger),
    Column("truncation_strategy", _Document, nullable=False),
    Column("tool_choice", _Document, nullable=False),
    Column("parallel_tool_calls", Boolean, nullable=False),
    Column("metadata", _Attributes, nullable=False),
    Column("required_action", _Document),
    Column("last_error", _Document),
    Column("incomplete_reason", Text),
    Column("turn", Integer, nullable=False),  # how often outputs were submitted: one job for each
    _count("prompt_tokens"),
    _count("completion_tokens"),
    _time("created_at"),
    _time("expires_at"),
    _time("started_at", nullable=True),
    _time("cancelled_at", nullable=True),
    _time("failed_at", nullable=True),
    _time("completed_at", nullable=True),
    Index(None, "thread_id", "seq"),
)

run_steps = Table(
    "run_steps",
    metadata,
    _seq(),
    _id(),
    _refers("run_id", "runs.id", delete_with=True, index=False),
    Column("type", Text, nullable=False),  # message_creation, tool_calls
    Column("status", Text, nullable=False),
    Column("details", _Document, nullable=False),  # as the API shows them
    Column("calls", _Document),  # as the model made them, and what it was told
    Column("last_error", _Document),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    _time("created_at"),
    _time("expired_at", nullable=True),
    _time("cancelled_at", nullable=True),
    _time("failed_at", nullable=True),
    _time("completed_at", nullable=True),
    Index(None, "run_id", "seq"),
)
