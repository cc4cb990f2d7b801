"""The schema. Migrations bring a database to it; a test holds the two together.

Ids are OpenAI's prefixed strings, times whole seconds since 1970. ``seq`` numbers rows in the order
of insertion: lists sort by it, because ids are random and many rows share a second. Roles, kinds
and statuses are checked by the wire types, so a new one needs no migration.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from freehold.storage.assistant_tables import (
    assistants,
    messages,
    run_steps,
    runs,
    threads,
    vector_store_batch_files,
    vector_store_batches,
    vector_store_chunks,
    vector_store_files,
    vector_stores,
)
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

__all__ = [
    "api_keys",
    "assistants",
    "batch_lines",
    "batches",
    "blobs",
    "chat_completions",
    "files",
    "jobs",
    "messages",
    "metadata",
    "organizations",
    "output_pieces",
    "project_rate_limits",
    "project_users",
    "projects",
    "run_steps",
    "runs",
    "service_accounts",
    "threads",
    "upload_parts",
    "uploads",
    "usage_events",
    "users",
    "vector_store_batch_files",
    "vector_store_batches",
    "vector_store_chunks",
    "vector_store_files",
    "vector_stores",
]

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    moment("created_at"),
)

projects = Table(
    "projects",
    metadata,
    seq(),
    identifier(),
    refers("organization_id", "organizations.id"),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="active"),  # or archived
    moment("created_at"),
    moment("archived_at", nullable=True),
    Column("zero_data_retention", Boolean, nullable=False, server_default=false()),
    Column("is_default", Boolean, nullable=False, server_default=false()),
)

users = Table(
    "users",
    metadata,
    seq(),
    identifier(),
    refers("organization_id", "organizations.id", index=False),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),  # owner, reader
    moment("added_at"),
    UniqueConstraint("organization_id", "email"),
)

project_users = Table(
    "project_users",
    metadata,
    seq(),
    refers("project_id", "projects.id", index=False),
    refers("user_id", "users.id", delete_with=True),
    Column("role", Text, nullable=False),  # owner, member
    moment("added_at"),
    UniqueConstraint("project_id", "user_id"),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    seq(),
    identifier(),
    refers("project_id", "projects.id"),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # owner, member
    moment("created_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    seq(),
    identifier(),
    Column("kind", Text, nullable=False),  # project, admin, service_account
    refers("organization_id", "organizations.id"),
    refers("project_id", "projects.id", nullable=True),  # none for an admin key
    refers("user_id", "users.id", nullable=True, delete_with=True),
    refers("service_account_id", "service_accounts.id", nullable=True, delete_with=True),
    Column("name", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    Column("redacted_value", Text, nullable=False),
    moment("created_at"),
    moment("last_used_at", nullable=True),
    moment("revoked_at", nullable=True),
)

# What an operator has set; a null or missing figure is the default of limits.toml.
project_rate_limits = Table(
    "project_rate_limits",
    metadata,
    seq(),
    identifier(),
    refers("project_id", "projects.id", index=False),
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
    seq(),
    moment("at"),
    Column("project_id", Text, nullable=False),
    Column("api_key_id", Text),
    Column("user_id", Text),
    Column("service_account_id", Text),
    Column("model", Text),
    Column("endpoint", Text, nullable=False),  # operation id
    count("requests"),
    count("input_tokens"),
    count("output_tokens"),
    count("input_cached_tokens"),
    count("input_audio_tokens"),
    count("output_audio_tokens"),
    count("images"),
    Column("image_size", Text),
    Column("image_source", Text),  # generation, edit, variation
    count("characters"),
    Column("seconds", Float, nullable=False, server_default="0"),
    Column("batch", Boolean, nullable=False, server_default=false()),
    Index(None, "at"),
    Index(None, "project_id", "at"),
)

chat_completions = Table(
    "chat_completions",
    metadata,
    seq(),
    identifier(),
    refers("project_id", "projects.id", index=False),
    moment("created"),
    Column("model", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("request", Document, nullable=False),  # holds the input messages
    Column("response", Document, nullable=False),
    Column("metadata", Attributes, nullable=False),
    Index(None, "project_id", "seq"),
)

_LIVE = text("state IN ('queued', 'running')")

# Work that survives: leased by one worker at a time, run again when its lease has run out.
jobs = Table(
    "jobs",
    metadata,
    seq(),
    identifier(),
    Column("kind", Text, nullable=False),  # names the handler
    Column("key", Text),  # what it is about; of one kind and key one job lives at a time
    Column("project_id", Text),  # none for work of the server's own
    Column("state", Text, nullable=False),  # queued, running, done, failed, cancelled
    Column("priority", Integer, nullable=False),  # higher ones first
    Column("payload", Document, nullable=False),
    Column("checkpoint", Document),
    Column("attempts", Integer, nullable=False, server_default="0"),  # ended by an error
    Column("losses", Integer, nullable=False, server_default="0"),  # runs begun since the last step
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("worker", Text),
    Column("error", Text),
    moment("created_at"),
    moment("run_at"),  # not before
    moment("started_at", nullable=True),
    moment("lease_ends_at", nullable=True),
    moment("finished_at", nullable=True),
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
    moment("since"),  # of writing: when its writer was last seen
    Index(None, "state", "since"),
)

files = Table(
    "files",
    metadata,
    seq(),
    identifier(),
    refers("organization_id", "organizations.id", index=False),
    refers("project_id", "projects.id", index=False),
    moment("created_at"),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("blob", Text, nullable=False),
    moment("expires_at", nullable=True),  # gone for its project; its bytes go with the next sweep
    Index(None, "project_id", "seq"),
    Index(None, "organization_id", "bytes"),
    Index(None, "expires_at"),
)

# What was appended to a file that the server is still making, in order.
output_pieces = Table(
    "output_pieces",
    metadata,
    seq(),
    Column("draft", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index(None, "draft", "seq"),
)

uploads = Table(
    "uploads",
    metadata,
    seq(),
    identifier(),
    refers("organization_id", "organizations.id", index=False),
    refers("project_id", "projects.id"),
    moment("created_at"),
    moment("expires_at"),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("status", Text, nullable=False),  # pending, completing, completed, cancelled
    Column("file_id", Text),  # chosen when completing begins
    Column("part_ids", Document),
    Column("md5", Text),
    Column("job_id", Text),
    Column("fault", Document),  # why completing failed
    Column("file_expires_after_s", BigInteger),
    Index(None, "organization_id", "status"),
    Index(None, "status", "expires_at"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    seq(),
    identifier(),
    refers("upload_id", "uploads.id", delete_with=True),
    moment("created_at"),
    Column("bytes", BigInteger, nullable=False),
    Column("blob", Text, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    seq(),
    identifier(),
    refers("project_id", "projects.id", index=False),
    Column("organization_id", Text, nullable=False),
    Column("api_key_id", Text, nullable=False),  # who asked: its lines run as if sent with this key
    Column("user_id", Text),
    Column("endpoint", Text, nullable=False),
    Column("input_file_id", Text, nullable=False),
    Column("completion_window", Text, nullable=False),
    Column("model", Text),  # of all lines; known once they have been validated
    count("input_tokens"),  # of all lines, about; known likewise
    Column("status", Text, nullable=False),
    Column("ends_as", Text),  # the status that finalizing leads to
    Column("errors", Document),
    Column("metadata", Attributes),
    Column("output_file_id", Text),
    Column("error_file_id", Text),
    count("total"),
    count("completed"),
    count("failed"),
    moment("created_at"),
    moment("in_progress_at", nullable=True),
    moment("expires_at"),
    moment("finalizing_at", nullable=True),
    moment("completed_at", nullable=True),
    moment("failed_at", nullable=True),
    moment("expired_at", nullable=True),
    moment("cancelling_at", nullable=True),
    moment("cancelled_at", nullable=True),
    Column("output_expires_after_s", BigInteger),
    Index(None, "project_id", "seq"),
)

# The lines of running batches that have their result: each has one, whatever happens.
batch_lines = Table(
    "batch_lines",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
)
