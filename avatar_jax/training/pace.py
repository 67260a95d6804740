"""How fast a run goes, and what it waits for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PEAK_FLOPS = {
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
}
"""Products in bfloat16 per second and chip, by JAX's name of the device; others have no figure to compare with."""


@dataclass
class Pace:
    """Times of one stretch of steps after the other.

    `rows`: of a batch, over all processes. `flops`: products of one step (`train.py` counts them), 0 if unknown.
    `peak`: products per second of all devices together, 0 if unknown.
    """

    rows: int = 0
    flops: float = 0.0
    peak: float = 0.0
    began: float = field(default_factory=time.monotonic)
    steps: int = 0
    lost: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def waiting(self, why: str) -> Iterator[None]:
        """Within: time that belongs to `why`, in which no step is begun."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.lost[why] = self.lost.get(why, 0.0) + time.monotonic() - began

    def read(self) -> dict[str, float]:
        """Of the steps since the last reading: seconds of a step, rows per second, the share of time for which the
        loop waited for data and for checkpoints, and the model's share of the devices' peak."""
        now = time.monotonic()
        took, steps = max(now - self.began, 1e-9), max(self.steps, 1)
        found = {"step_seconds": took / steps, "rows_per_second": self.rows * self.steps / took}
        found |= {f"{why}_wait": seconds / took for why, seconds in self.lost.items()}
        if self.flops:
            found["flops_per_second"] = self.flops * self.steps / took
        if self.flops and self.peak:
            found["mfu"] = found["flops_per_second"] / self.peak
        self.began, self.steps, self.lost = now, 0, dict.fromkeys(self.lost, 0.0)
        return {name: float(f"{value:.4g}") for name, value in found.items()}


def peak_of(kind: str, devices: int) -> float:
    """Of `devices` devices of this kind; 0 if it is not in the table."""
    return PEAK_FLOPS.get(kind, 0.0) * devices
