"""The stream from files to parameters: one tensor at a time is read, changed, laid out and handed on."""

import re
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np

from avatar_jax.weights.mapping import Place, Target
from avatar_jax.weights.plan import Plan, Step

Progress = Callable[[int], object]
"""Told the bytes of each tensor that is done."""
UNSIGNED: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}


class Sink(Protocol):
    """Where laid-out tensors go: a folder, or arrays over a mesh."""

    def has(self, place: Place) -> bool:
        """Whether an earlier run has put this one already."""
        ...

    def put(self, place: Place, numbers: np.ndarray) -> None: ...


def stream(plan: Plan, target: Target, dtype: Any, sink: Sink, progress: Progress = lambda _: None) -> None:
    """Run every step of the plan whose result the sink does not have."""
    for step in plan.steps:
        if not sink.has(step.place):
            sink.put(step.place, laid_out(step, dtype_of(step.place.path, target, dtype)))
        progress(step.tensor.nbytes)


def dtype_of(path: str, target: Target, dtype: Any) -> np.dtype:
    """In which dtype a parameter is kept when `dtype` is asked for."""
    return np.dtype(np.float32 if re.fullmatch(target.float32, path) else dtype)


def laid_out(step: Step, dtype: np.dtype) -> np.ndarray:
    """A step's numbers in our order, contiguous."""
    numbers = step.tensor.read()
    if step.changes:
        numbers = numbers.astype(np.float32)
        for change in step.changes:
            numbers += change.value(numbers.shape)
    return contiguous(step.place.layout.ours(numbers.astype(dtype, copy=False)))


def contiguous(x: np.ndarray) -> np.ndarray:
    """`x` in C order. Transposing matrices tile by tile is ten times as fast as NumPy's row by row."""
    if x.ndim == 2 and min(x.shape) > 1 and x.flags.f_contiguous:
        return cv2.transpose(x.T.view(UNSIGNED[x.itemsize])).view(x.dtype)
    return np.ascontiguousarray(x)
