"""How fast batches come, and how fast two trainings would use them up.

    python -m data_pipeline.throughput --records data/embedded/latents           the embedded model's windows
    python -m data_pipeline.throughput --set OUT/latents/1.0.0 --frames 81       windows of a finished set
    python -m data_pipeline.throughput --set OUT/media/1.0.0 --frames 81         the same, decoded from video

The last line of what is printed is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from avatar_jax.media import BadInput
from data_pipeline.loader import LoaderConfig, batches

MARGIN = 3.0
"""A loader gives this many times what training takes, so that a slow disk or a busy host does not stop it."""


@dataclass(frozen=True)
class Rate:
    """What one process read: examples (rows), frames of pictures where they are decoded, bytes of arrays."""

    examples: int
    frames: int
    bytes: int
    seconds: float
    cpu_seconds: float
    first_batch_seconds: float

    def per_second(self) -> dict[str, float]:
        """Per second, and per core: divided by CPU seconds of all threads (worker processes are not counted)."""
        counted = {"examples": self.examples, "frames": self.frames, "megabytes": self.bytes / 1e6}
        return {f"{name}_per_s": round(n / self.seconds, 2) for name, n in counted.items()} | {
            f"{name}_per_core_s": round(n / self.cpu_seconds, 2) for name, n in counted.items()
        }


def measure(own_rows: Iterator[Mapping[str, np.ndarray]], seconds: float) -> Rate:
    """Read for `seconds` after the first batch, whose time is told by itself."""
    began = time.perf_counter()
    next(own_rows)
    first = time.perf_counter() - began
    examples = frames = size = 0
    start, cpu = time.perf_counter(), time.process_time()
    while (took := time.perf_counter() - start) < seconds:
        batch = next(own_rows)
        rows = len(next(iter(batch.values())))
        examples += rows
        size += sum(x.nbytes for x in batch.values())
        frames += rows * batch["frames_THW3"].shape[1] if "frames_THW3" in batch else 0
    return Rate(examples, frames, size, took, max(time.process_time() - cpu, 1e-9), first)


@dataclass(frozen=True)
class Adapter:
    """An upper bound of what training an adapter on a frozen generator takes, from one static estimate.

    A compiled denoising step of `rows` rows on `chips` chips of `chip_flops` at utilisation `mfu` takes
    `step_seconds`: so many useful operations a row. Training needs the forward pass and the backward pass through the
    frozen layers, as many again at least; the adapter's own weights and anything made again come on top, and make it
    slower. A host then takes `host_chips * host_flops * mfu / (2 * operations)` windows a second.
    """

    step_seconds: float = 0.17476
    rows: int = 2
    chips: int = 8
    chip_flops: float = 918e12
    mfu: float = 0.441
    host_chips: int = 4
    host_flops: float = 459e12
    frames: int = 81

    @property
    def operations(self) -> float:
        """Of one row's forward pass."""
        return self.step_seconds * self.chips * self.chip_flops * self.mfu / self.rows

    def windows(self) -> float:
        """Windows a second, at most."""
        return self.host_chips * self.host_flops * self.mfu / (2 * self.operations)


ADAPTER_1_3B = Adapter()
"""Wan 2.1 T2V 1.3B at 480p on v6e:2x4, the row of docs/tpu.md; one host of v5p has four chips of 459 TFLOP/s."""
EMBEDDED_WINDOWS = 8 * 3600 / 3336
"""Windows that a core takes in training the embedded generator: steps of 8, CPU-seconds as docs/embedded.md tells."""


def needs() -> dict[str, float]:
    """Windows a second that a loader must give: `MARGIN` times what is taken."""
    return {
        "embedded_windows_per_core_s": round(MARGIN * EMBEDDED_WINDOWS, 2),
        "adapter_windows_per_host_s": round(MARGIN * ADAPTER_1_3B.windows(), 2),
        "adapter_frames_per_host_s": round(MARGIN * ADAPTER_1_3B.windows() * ADAPTER_1_3B.frames, 1),
    }


def embedded(folder: Path, config: LoaderConfig) -> Iterator[Mapping[str, np.ndarray]]:
    """Windows as the embedded generator's training reads them, of the stride that most of them have."""
    from data_pipeline.source import RecordSource
    from data_pipeline.synthetic.windows import sample_window

    def window(record: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return sample_window(record, rng, 1.0, 16)

    return batches(RecordSource(folder), config, window)


def finished(folder: Path, frames: int, area: int, config: LoaderConfig) -> Iterator[Mapping[str, np.ndarray]]:
    """Windows of a finished set, all sizes by bucket, on canvases of `area` pixels; of one that was encoded for a
    video model, everything that its training reads."""
    from data_pipeline.buckets import buckets, parts
    from data_pipeline.dataset.shard import read_index
    from data_pipeline.loader import mixed_batches
    from data_pipeline.set_windows import video_window, window_groups
    from data_pipeline.transforms import LatentWindow, PixelWindow

    among = buckets(area)
    latents = folder.parent.name == "latents"
    if latents and any(line.get("windows") for line in read_index(folder)):
        return mixed_batches(window_groups(folder, lambda numbered, rng: video_window(numbered[1], rng)), config)
    window = {b: LatentWindow(frames) if latents else PixelWindow(frames, b) for b in among}
    return mixed_batches(parts(folder, among, window, frames), config)


def main(arguments: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = p.add_mutually_exclusive_group(required=True)
    which.add_argument("--records", type=Path, help="folder of the embedded model's latents")
    which.add_argument("--set", type=Path, help="folder of a finished set")
    p.add_argument("--frames", type=int, default=81)
    p.add_argument("--area", type=int, default=480 * 832, help="pixels of a canvas")
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--workers", type=int, default=0)
    p.add_argument("--seconds", type=float, default=10)
    args = p.parse_args(arguments)
    config = LoaderConfig(args.batch, threads=args.threads, workers=args.workers)
    read = partial(embedded, args.records) if args.records else partial(finished, args.set, args.frames, args.area)
    try:
        rate = measure(read(config), args.seconds)
    except (BadInput, FileNotFoundError) as mistake:
        print(mistake, file=sys.stderr)
        return 2
    print(json.dumps({**asdict(rate), **rate.per_second(), "needs": needs()}))
    return 0


if __name__ == "__main__":
    flags.FLAGS.mark_as_parsed()
    sys.exit(main())
