"""Systems made by several processes, each with its share of the processor.

Two processes with a core each make more videos than one process with two cores (docs/benchmarks.md): much of a video's
way (warping, hashing, encoding, reading) is one thread's work.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import jax

from avatar_jax.evaluation.benchmark.systems import Failure, Studio, make_systems
from avatar_jax.evaluation.scoring.pool import pooled


def make_together(studio: Studio, names: Sequence[str], workers: int) -> list[Failure]:
    """`make_systems` by `workers` processes; what they leave (one was killed, a case failed) is tried once more here.

    An accelerator belongs to one process: beside one, all is made here.
    """
    missing = max(len(studio.missing(name)) for name in names)
    workers = min(workers, missing)
    if workers > 1 and jax.default_backend() == "cpu":
        parts = {number: replace(studio, part=(number, workers)) for number in range(workers)}
        for _ in pooled(partial(make_part, names=tuple(names)), parts, workers):
            pass
    return make_systems(studio, names)


def make_part(studio: Studio, names: Sequence[str]) -> None:
    """One part, on its share of the cores; for a fresh process."""
    keep_to(*studio.part)
    make_systems(studio, names)


def keep_to(number: int, parts: int) -> None:
    """Let this process use every `parts`-th core from `number` on, where the system can say so; must come before JAX,
    OpenCV and FFmpeg start their threads."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, set(cores[number::parts]) or set(cores))
