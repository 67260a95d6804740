"""What watches a run: the metrics file, the progress bar, and measurements that train.py passes in."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from avatar_jax.training.events import EventFile
from avatar_jax.training.state import TrainState, averaged

Hook = Callable[[int, TrainState], dict[str, float] | None]
"""(finished steps, state) -> numbers for the metrics file, or None; called after every step."""


def every(steps: int, measure: Callable[[Any], dict[str, float]]) -> Hook:
    """`measure(averaged parameters)` after every `steps` steps."""

    def hook(step: int, state: TrainState) -> dict[str, float] | None:
        return measure(averaged(state)) if step % steps == 0 else None

    return hook


class Clock:
    """Seconds and CPU seconds (all threads) that a run has taken, earlier parts of it included."""

    def __init__(self, seconds: float = 0.0, cpu_seconds: float = 0.0):
        self.wall, self.cpu = time.monotonic() - seconds, time.process_time() - cpu_seconds

    def read(self) -> dict[str, float]:
        wall, cpu = time.monotonic() - self.wall, time.process_time() - self.cpu
        return {"seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}

    @classmethod
    def at(cls, path: Path, step: int) -> "Clock":
        """Going on from what the metrics file says of this step."""
        last = (lines_until(path, step) or [{}])[-1]
        return cls(last.get("seconds", 0.0), last.get("cpu_seconds", 0.0))


def lines_until(path: Path, step: int) -> list[dict[str, Any]]:
    """What a metrics file says of the steps up to this one."""
    return [line for line in map(parsed, read_lines(path)) if line and line["step"] <= step]


class MetricsFile:
    """`metrics.jsonl`: one JSON object a line, `step` first. Lines after `step` are dropped when it is opened.

    The same numbers go to `events/` for TensorBoard, which hides what was logged after `step`.

    Without a path nothing is written: one process of a run keeps the file.
    A run that was killed has logged steps after its last checkpoint; they are done again, and must not appear twice.
    """

    def __init__(self, path: Path | None, step: int):
        self.file, self.clock, self.events = None, Clock(), None
        if path is None:
            return
        kept, self.clock = lines_until(path, step), Clock.at(path, step)
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        temporary.replace(path)
        self.file = path.open("a")
        self.events = EventFile(path.with_name("events"), step)

    def write(self, step: int, scalars: dict[str, float], examples: np.ndarray | None = None) -> None:
        """`examples`: numbers of the batch's examples."""
        if self.file is None or self.events is None:
            return
        shown = {} if examples is None else {"examples": np.asarray(examples).tolist()}
        self.file.write(json.dumps({"step": step} | scalars | shown | self.clock.read()) + "\n")
        self.file.flush()
        self.events.write(step, scalars)

    def close(self) -> None:
        if self.file is not None and self.events is not None:
            # Every line was flushed when it was written; what a full disk refused was told then.
            with contextlib.suppress(OSError):
                self.file.close()
            self.events.close()


def read_lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def parsed(line: str) -> dict[str, Any] | None:
    """None for a line that a killed process left unfinished."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


class Progress:
    """Progress bar with time left, the recent loss and CPU seconds; quiet in log files (a line every half minute)."""

    def __init__(self, name: str, step: int, steps: int, quiet: bool = False):
        interval = 0.5 if sys.stderr.isatty() else 30
        self.bar = tqdm(
            desc=name, initial=step, total=steps, unit="step", mininterval=interval, dynamic_ncols=True, disable=quiet
        )
        self.loss: float | None = None

    def update(self, step: int, loss: float, clock: Clock) -> None:
        self.loss = loss if self.loss is None else 0.95 * self.loss + 0.05 * loss
        cpu = clock.read()["cpu_seconds"]
        self.bar.set_postfix_str(f"loss {self.loss:.4g}, {cpu:.0f} CPU-s", refresh=False)
        self.bar.update(step - self.bar.n)

    def close(self) -> None:
        self.bar.close()
