"""Learns the adapter: in pieces, from wherever the last piece ended."""

# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Checked without torch, which is only in the extra `train`.

import csv
import math
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from freehold_training import base
from freehold_training.batches import Conversations, Step, plan
from freehold_training.model import Model
from freehold_training.settings import Settings, TuneSettings

CHECKPOINT = "adapter.pt"
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}
_CURVE = ("step", "tokens", "seconds", "rate", "loss")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and in which numbers the model is computed."""

    device: str
    number: Any

    @classmethod
    def chosen(cls, settings: TuneSettings) -> "Machine":
        """Return a GPU where there is one; bf16 where it is fast."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        fast = device == "cuda" or bool(_CPU_FLAGS & _cpu_flags())
        short = {"auto": fast, "bf16": True, "fp32": False}[settings.number]
        return cls(device, torch.bfloat16 if short else torch.float32)


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def build(held: base.Base, settings: TuneSettings, machine: Machine) -> Model:
    """Return the base model with fresh updates on the machine."""
    torch.manual_seed(settings.seed)
    weights = {
        name: torch.from_numpy(array).to(machine.number) for name, array in held.weights.items()
    }
    return Model(held.shape, weights, settings.rank, settings.alpha).to(machine.device)


def rate_at(step: int, steps: int, settings: TuneSettings) -> float:
    """Return the learning rate: a straight climb, then half a cosine down to the floor."""
    warm = max(1, round(settings.warmup * steps))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    way = (step - warm) / max(1, steps - warm)
    share = settings.floor + (1 - settings.floor) * (1 + math.cos(math.pi * way)) / 2
    return settings.learning_rate * share


class Training:
    """One run: the model, what it reads, how far it has come."""

    def __init__(
        self, settings: Settings, base_path: Path, out: Path, start: Path | None = None
    ) -> None:
        tune = settings.tune
        machine = Machine.chosen(tune)
        torch.set_num_threads(tune.threads)
        self._settings, self._machine, self._out = tune, machine, out
        self._learnt_from = Conversations.load(settings.build / "train.npz")
        self._watched = Conversations.load(settings.build / "validation.npz")
        self._micro = tune.gpu_micro_tokens if machine.device == "cuda" else tune.micro_tokens
        self._lengths = self._learnt_from.lengths
        self._steps = plan(
            self._lengths,
            epochs=tune.epochs,
            step_tokens=tune.step_tokens,
            micro_tokens=self._micro,
            seed=tune.seed,
        )
        self.model = build(base.read(base_path), tune, machine)
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=tune.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=tune.weight_decay,
        )
        self._step = 0
        self._tokens = 0
        self._seconds = 0.0
        self._curve: list[tuple[float, ...]] = []
        self._watch: list[dict[str, float]] = []
        self._stop = False
        self._resume(start)

    def run(self, minutes: float | None) -> bool:
        """Learn until done, the time is over or a signal asks to stop; return whether done."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._asked_to_stop)
        begun = saved = time.monotonic()
        self._say(f"{len(self._steps)} steps, from {self._step}, on {self._machine}")
        while self._step < len(self._steps) and not self._stop:
            started = time.monotonic()
            if not self._learn(self._steps[self._step]):
                break
            now = time.monotonic()
            self._note(now - started)
            if self._step % self._settings.validate_steps == 0 or self._step == len(self._steps):
                self._validate()
            if now - saved > self._settings.checkpoint_minutes * 60:
                self.save()
                saved = now
            if minutes is not None and now - begun > minutes * 60:
                break
        self.save()
        return self._step == len(self._steps)

    def save(self) -> None:
        """Write the checkpoint and the curves, each whole or not at all."""
        self._out.mkdir(parents=True, exist_ok=True)
        state = {
            "settings": asdict(self._settings),
            "steps": len(self._steps),
            "adapter": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": (self._step, self._tokens, self._seconds),
            "curve": self._curve,
            "watch": self._watch,
        }
        partial = self._out / f"{CHECKPOINT}.part"
        torch.save(state, partial)
        partial.replace(self._out / CHECKPOINT)
        _write_csv(self._out / "loss.csv", _CURVE, self._curve)
        if self._watch:
            names = tuple(self._watch[-1])
            rows = [tuple(row.get(name, math.nan) for name in names) for row in self._watch]
            _write_csv(self._out / "validation.csv", names, rows)

    def _resume(self, start: Path | None) -> None:
        """Go on where the run was, or begin it with the adapter of another run's checkpoint."""
        path = self._out / CHECKPOINT
        if path.exists():
            state = self._read(path)
            if (
                state["steps"] != len(self._steps)
                or state["settings"]["rank"] != self._settings.rank
            ):
                raise ValueError(f"{path} is of another training: remove it, or name another --out")
            self.model.load_state_dict(state["adapter"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._step, self._tokens, self._seconds = state["progress"]
            self._curve, self._watch = state["curve"], state["watch"]
        elif start is not None:
            self.model.load_state_dict(self._read(start)["adapter"])
        self.model.merge()

    def _read(self, path: Path) -> dict[str, Any]:
        return torch.load(path, map_location=self._machine.device, weights_only=True)

    def _learn(self, step: Step) -> bool:
        """Do one step; False where a signal came in between, and nothing was changed."""
        batches = [self._batch(self._learnt_from, group) for group in step]
        learnt = sum(int(marks[:, 1:].sum()) for _, marks in batches)
        self._optimizer.zero_grad()
        loss = 0.0
        for ids, marks in batches:
            loss += self.model.learn(ids, marks, 1 / learnt)
            if self._stop:
                return False
        rate = rate_at(self._step, len(self._steps), self._settings)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.clip)
        self._optimizer.step()
        self.model.merge()
        self._step += 1
        self._tokens += sum(self._lengths[number] for group in step for number in group)
        self._curve.append((self._step, self._tokens, self._seconds, rate, loss / learnt))
        return True

    def _batch(self, texts: Conversations, group: list[int]) -> tuple[Any, Any]:
        ids, marks = texts.padded(group)
        device = self._machine.device
        return torch.from_numpy(ids).to(device), torch.from_numpy(marks).to(device)

    def _validate(self) -> None:
        """Note and print the loss per learnt token of every row, on held-out examples."""
        sums: dict[str, list[float]] = {}
        for number, row in enumerate(self._watched.rows.tolist()):
            ids, marks = self._batch(self._watched, [number])
            held = sums.setdefault(row, [0.0, 0.0])
            held[0] += self.model.loss(ids, marks)
            held[1] += int(marks[:, 1:].sum())
        losses = {row: loss / learnt for row, (loss, learnt) in sorted(sums.items())}
        self._watch.append({"step": self._step, **losses})
        self._say("held out: " + ", ".join(f"{row} {loss:.3f}" for row, loss in losses.items()))

    def _note(self, seconds: float) -> None:
        self._seconds += seconds
        _, tokens, _, _, loss = self._curve[-1]
        before = self._curve[-2][1] if len(self._curve) > 1 else 0
        left = (len(self._steps) - self._step) * self._seconds / self._step
        self._say(
            f"step {self._step}/{len(self._steps)}  loss {loss:.4f}  "
            f"{(tokens - before) / seconds:.0f} tokens/s  {left / 60:.0f} min left"
        )

    def _asked_to_stop(self, _number: int, _frame: object) -> None:
        self._stop = True

    def _say(self, text: str) -> None:
        sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
        sys.stdout.flush()


def _write_csv(path: Path, names: tuple[str, ...], rows: list[tuple[float, ...]]) -> None:
    partial = path.with_suffix(".part")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([f"{value:.6g}" for value in row] for row in rows)
    partial.replace(path)
