"""What a training stage is: the loop knows nothing else about audio encoders, codecs, readers or generators.

A stage is a frozen dataclass that inherits from `Stage`, built by train.py from its config and its data:

    @dataclass(frozen=True)
    class CodecStage(Stage):
        config: CodecStageConfig            # frozen dataclass: `optimiser: OptimConfig`, `batch`, `seed`, model sizes
        stills: Stills                      # data: a callable or a reader that depends on (seed, step) only
        name = "codec"                      # plain class attribute, no annotation

The loop owns everything else: mesh, optimiser state, EMA, checkpoints, prefetch, metrics and the random key.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

if TYPE_CHECKING:
    from avatar_jax.training.optim import OptimConfig

Params = Any
"""Nested dictionary of arrays, as under `params` of a linen `init`."""
Batch = dict[str, Any]
"""Names -> arrays that share the first axis B: numpy from the data side, jax inside the step."""


class CannotTrain(ValueError):
    """A user's mistake seen from inside training; `str()` has three lines, entry points exit with status 2."""

    def __init__(self, what: str, got: object, rule: str, fix: str):
        super().__init__(f"{what}: {got}\nrule: {rule}\nfix: {fix}")


EXAMPLES = "example_B"
"""Numbers of a batch's examples, where the data have any: logged, and not part of the step."""


class StageConfig(Protocol):
    """What the loop reads from a stage's config; the rest belongs to the stage."""

    @property
    def optimiser(self) -> "OptimConfig": ...


class Stage(Protocol):
    """One network to train. Inherit, set `name` and `config`, write the first three methods."""

    name: str
    """Also the name of its folder under --out and of its exported file: audio, codec, gate, judge, dit."""
    config: Any
    """A `StageConfig`: a frozen dataclass with `optimiser`; saved beside the checkpoints and in the exported file."""

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters (with or without linen's logical-partitioning boxes). Is traced: no side effects."""
        ...

    def loss(self, params: Params, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scalar loss (a mean over the batch) and scalars to log. Is traced; `key` differs at every step."""
        ...

    def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Endless numpy batches from step number `start` on.

        Batch n must depend on (seed, n) alone, never on what came before: this is what makes resuming exact. Runs in
        a thread, one batch ahead of the step. The first axis of every array is the batch.
        """
        ...

    def share(self, start: int, index: int, count: int) -> Iterator[dict[str, np.ndarray]]:
        """Part `index` of `count` equal parts of every batch: the rows of one process of several.

        Whole batches are made and cut here; a stage whose data can be read in parts does that instead.
        """
        for batch in self.batches(start):
            rows = len(next(iter(batch.values())))
            if rows % count:
                rule, fix = "every process gets as many rows", "choose another batch size, or another --mesh"
                raise CannotTrain("the batch does not divide over the processes", f"{rows} rows, {count}", rule, fix)
            size = rows // count
            yield {name: x[index * size : (index + 1) * size] for name, x in batch.items()}

    def wanted(self) -> Mapping[str, tuple[int | None, ...]]:
        """Shapes of one example's arrays by their names in a batch, None for sides that may differ; {}: unchecked."""
        return {}

    def start(self, mesh: Mesh) -> Params | None:
        """Parameters that a run begins with, None for those of `init`; asked for where there is no checkpoint."""
        del mesh

    def fixed(self, mesh: Mesh) -> Params:
        """Parameters that are read and never trained, laid out over the mesh; no checkpoint holds them."""
        del mesh
        return {}

    def whole(self, params: Params, fixed: Params) -> Params:
        """What `loss` reads: the trained parameters beside the fixed ones."""
        del fixed
        return params

    def finish(self, params: Params) -> Params:
        """Parameters to evaluate and export, given the averaged ones: the place for statistics measured at the end."""
        return params

    def evaluate(self, params: Params) -> dict[str, float]:
        """Scores on held-out data of (finished) parameters, run once at the end of training."""
        return {}

    def gate(self, scores: dict[str, float]) -> bool:
        """Whether these scores are good enough to build on; recorded, and told to the user when they are not."""
        return True
