"""From a model's row, and what the operator binds it to, to the configuration of its engine."""

import json
from pathlib import Path

from freehold.core.errors import InternalServerError
from freehold.core.settings import ModelBinding, Settings
from freehold.data.models import Catalogue, ModelRow
from freehold.engines.loading import JUDGE, LLAMA, NAMED_BACKENDS, EngineSpec, Use, options_of


class Specs:
    """Makes engine configurations with what the settings say for all of them."""

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        self._catalogue = catalogue
        self._settings = settings

    def of_row(self, use: Use, row: ModelRow) -> EngineSpec:
        """Return what the catalogue says. Raises ``InternalServerError`` where it names none."""
        if row.backend is None:
            raise unservable(row.id, use)
        if use == "moderation":
            return self._classifier(row.backend, row.base)
        return EngineSpec(
            use=use,
            backend=row.backend,
            model=row.id,
            weights=row.weights,
            slots=self._slots(use),
            threads=self._settings.threads,
            template=row.template,
            system_prompt=row.system_prompt,
            options=json.dumps(row.options, sort_keys=True),
        )

    def of_binding(
        self, use: Use, row: ModelRow, binding: ModelBinding, defaults: ModelRow | None
    ) -> EngineSpec:
        """Return what a binding says; ``defaults`` is the catalogue's row of its weights."""
        backend = backend_of(use, binding)
        if use == "moderation" and backend == NAMED_BACKENDS[use]["classifier"]:
            return self.of_row(use, our_row(self._catalogue, use))
        name = binding.model or row.id
        if backend == LLAMA:
            name = defaults.id if defaults else Path(binding.weights or row.id).name
        return EngineSpec(
            use=use,
            backend=backend,
            model=name,
            weights=binding.weights,
            sha256=binding.sha256,
            slots=binding.slots or self._slots(use),
            context=binding.context,
            threads=binding.threads or self._settings.threads,
            template=binding.template or (defaults.template if defaults else None),
            system_prompt=binding.system_prompt or (defaults.system_prompt if defaults else None),
            options=options_of(backend, binding, defaults.options if defaults else {}),
        )

    def _classifier(self, backend: str, base: str | None) -> EngineSpec:
        """Return our classifier upon our embedding model, whatever serves embeddings here."""
        row = self._catalogue.find(base or "")
        under = self.of_row("embedding", row) if row else None
        return EngineSpec(
            use="moderation", backend=backend, model="moderation-classifier", base=under
        )

    def _slots(self, use: Use) -> int | None:
        """Return the setting, which counts generations; embeddings are joined instead."""
        return self._settings.slots if use == "chat" else None


def of_judge(
    row: ModelRow, binding: ModelBinding, judge: str, base: EngineSpec | None
) -> EngineSpec:
    """Return a moderation model that asks the chat model ``judge``, whose engine is ``base``."""
    return EngineSpec(
        use="moderation",
        backend=JUDGE,
        model=f"{row.id} by {judge}",
        slots=binding.slots,
        options=options_of(JUDGE, binding, {}),
        base=base,
    )


def backend_of(use: Use, binding: ModelBinding) -> str:
    """Return the ``module:Class`` that a binding names."""
    return NAMED_BACKENDS[use].get(binding.backend, binding.backend)


def our_row(catalogue: Catalogue, kind: Use) -> ModelRow:
    """Return our own model of a kind, else any model of it."""
    rows = [row for row in catalogue.rows() if row.kind == kind]
    return next((row for row in rows if row.backend), rows[0])


def unservable(model_id: str, use: Use) -> InternalServerError:
    """Return what to say of an id that no engine answers for."""
    setting = "default_model" if use == "chat" else "default_embedding_model"
    return InternalServerError(
        f"No engine of this server is bound to `{model_id}`: bind it in freehold.toml "
        f'([models."{model_id}"]) or name another {setting}.',
        retryable=False,
    )
