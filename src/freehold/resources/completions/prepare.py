"""From a checked request to the generations it asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from freehold.core.errors import BadRequestError
from freehold.data import limits
from freehold.engines import bias
from freehold.engines.base import Generation, Sampling, TextEngine
from freehold.engines.registry import Model
from freehold.resources.completions import prompts, rules
from freehold.resources.completions.candidate import Candidate
from freehold.resources.completions.prompts import Prompt
from freehold.wire.completions import CompletionCreateParams

Body = CompletionCreateParams


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as the service works on it: ``each`` texts per prompt, ``n`` of them returned."""

    body: Body
    model: Model
    prompts: Sequence[Prompt]
    sampling: Sampling
    stops: tuple[str, ...]
    n: int
    each: int

    @property
    def max_tokens(self) -> int:
        return self.sampling.max_tokens or 0

    def candidates(self) -> list[Candidate]:
        """Return the texts to make, those of one prompt side by side."""
        return [
            Candidate(place * self.each + number, prompt, self.stops)
            for place, prompt in enumerate(self.prompts)
            for number in range(self.each)
        ]

    def generation(self, candidate: Candidate) -> Generation:
        """Return what to generate: with a seed, each text of a prompt has its own."""
        sampling = self.sampling
        if sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + candidate.index % self.each)
        suffix = self.body.suffix or None
        prompt = candidate.prompt
        given = prompt.given if suffix is None or prompt.native is None else prompt.text
        return Generation(given, sampling, stop=self.stops, suffix=suffix)

    def estimate(self) -> int:
        """Return about how many tokens the prompts have, before any engine has counted them."""
        return sum(prompt.estimate() for prompt in self.prompts)


async def prepare(body: Body, model: Model, engine: TextEngine) -> Prepared:
    """Say what is to be generated. Raises ``BadRequestError`` for what can't be."""
    n = body.n or 1
    each = n if body.best_of is None else body.best_of
    read = await prompts.read(body, model.vocabulary, engine)
    rules.check_choices(len(read), each)
    sampling = await _sampling(body, model, engine, each)
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    prepared = Prepared(body, model, read, sampling, tuple(filter(None, stops)), n, each)
    for prompt in read:
        await _fit(prompt, prepared, engine)
    return prepared


async def _sampling(body: Body, model: Model, engine: TextEngine, each: int) -> Sampling:
    default = limits.figure("completions", "default_max_tokens")
    ranked = 0 if each > (body.n or 1) else None
    biased = body.logit_bias or {}
    return Sampling(
        max_tokens=default if body.max_tokens is None else body.max_tokens,
        temperature=model.temperature(each) if body.temperature is None else body.temperature,
        top_p=body.top_p,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        seed=body.seed,
        logit_bias=await bias.native(biased, model.vocabulary, engine) if biased else {},
        logprobs=ranked if body.logprobs is None else body.logprobs,
    )


async def _fit(prompt: Prompt, prepared: Prepared, engine: TextEngine) -> None:
    """Keep prompt and answer within the window; tokens are counted only where it is close."""
    suffix = prepared.body.suffix or ""
    wanted = prepared.max_tokens
    documented = prepared.model.row.context_window
    bound = prompt.most_tokens() + len(suffix.encode())
    if bound + wanted <= min(documented or engine.window, engine.window):
        return
    used = await count(prompt, engine)
    if used is not None:
        used += len(await engine.tokenize(suffix)) if suffix else 0
        rules.check_window(used, wanted, documented, engine.window)


async def count(prompt: Prompt, engine: TextEngine) -> int | None:
    """Return the prompt's tokens; None of an upstream that does not tell, and has the last word."""
    given = prompt.given
    if not isinstance(given, str):
        return len(given)
    try:
        return await engine.count_tokens(given)
    except BadRequestError:
        return None
