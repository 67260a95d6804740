"""The training loop: one jitted step over a mesh, resumed exactly from the newest checkpoint.

A run that was interrupted, killed even, and started again ends with the same bits as one that was not: batches depend
on (seed, step), random keys on the step, and the state is saved whole.
"""

import math
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from avatar_jax.distributed import Agreement, first
from avatar_jax.mesh import RULES, batch_sharding, batch_share, replicated, ways
from avatar_jax.training.checkpoint import Checkpoints, first_difference, record_config, shapes
from avatar_jax.training.hooks import Hook, MetricsFile, Progress
from avatar_jax.training.optim import schedule
from avatar_jax.training.stage import CannotTrain, Params, Stage
from avatar_jax.training.state import TrainState, create, layout, train_step


@dataclass(frozen=True)
class LoopConfig:
    """How a run is driven; nothing here changes what is learnt, except `seed`."""

    seed: int = 0
    """Of the first parameters and of the noise in the steps."""
    save_seconds: float = 120.0
    keep: int = 2
    log_every: int = 1


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM came; the state was saved before this was raised."""


def run(
    stage: Stage,
    folder: Path,
    mesh: Mesh,
    config: LoopConfig,
    start: Params | None = None,
    hooks: Sequence[Hook] = (),
) -> TrainState:
    """Train `stage` to its last step in `folder`, going on from the newest checkpoint found there.

    Args:
        start: parameters of a run without checkpoints, instead of fresh ones.
        hooks: called after every step; what they return goes to `metrics.jsonl`.

    Raises:
        CannotTrain: if parameters, checkpoint or batch do not fit the stage or the mesh.
        FloatingPointError: if the loss is not finite.
        Interrupted: after SIGINT or SIGTERM; run again to go on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps, rate = stage.config.optimiser.steps, schedule(stage.config.optimiser)
    init_key, step_key = jax.random.split(jax.random.key(config.seed))
    with jax.set_mesh(mesh), Checkpoints(folder, config.keep) as checkpoints, stop_signals() as stopped:
        state = first_state(stage, init_key, mesh, checkpoints, start)
        for change in record_config(folder, stage.config) if first() else ():
            print(f"{stage.name}: changed since this run began: {change}", file=sys.stderr)
        step = jitted_step(stage, state, mesh)
        at = int(state.step)
        # One file, one bar: what the other processes write goes nowhere.
        metrics = MetricsFile(folder / "metrics.jsonl" if first() else None, at)
        bar = Progress(stage.name, at, steps, quiet=not first())
        saved, asked, pending, agreed = time.monotonic(), False, None, Agreement(2)

        def log(n: int, scalars: dict[str, jax.Array], extra: dict[str, float]) -> None:
            values = {name: float(value) for name, value in jax.device_get(scalars).items()}
            if not math.isfinite(values["loss"]):
                raise FloatingPointError(f"{stage.name}: the loss of step {n} is {values['loss']}")
            if n % config.log_every == 0 or extra:
                metrics.write(n, values | {"rate": float(rate(n - 1))} | extra)
            bar.update(n, values["loss"], metrics.clock)

        with (
            closing(metrics),
            closing(bar),
            closing(ahead(stage.share(at, *batch_share(mesh)), partial(place, mesh))) as batches,
        ):
            stop = stopped() and jax.process_count() == 1
            while at < steps and not stop:
                state, scalars = step(state, next(batches), step_key)
                at += 1
                # The previous step's numbers are fetched while this one runs.
                if pending is not None:
                    log(*pending)
                extra = {name: value for hook in hooks for name, value in (hook(at, state) or {}).items()}
                pending = (at, scalars, extra)
                due = first() and not asked and time.monotonic() - saved > config.save_seconds
                stop, save = agreed(stopped(), due)
                asked = due and not save
                if save:
                    log(*pending)
                    checkpoints.save(state)
                    saved, pending = time.monotonic(), None
            if pending is not None:
                log(*pending)
            checkpoints.save(state)
        if at < steps:
            raise Interrupted(f"{stage.name}: stopped and saved at step {at} of {steps}")
    return state


def first_state(
    stage: Stage, key: jax.Array, mesh: Mesh, checkpoints: Checkpoints, start: Params | None = None
) -> TrainState:
    """The newest checkpoint, or the given parameters, or fresh ones; every shard made where it belongs."""
    abstract = layout(stage, key, mesh)
    if checkpoints.step() is not None:
        return checkpoints.restore(abstract)
    if start is not None and (wrong := first_difference(shapes(start), shapes(abstract.params))):
        raise CannotTrain(
            f"the parameters to start {stage.name} from do not fit",
            wrong,
            "a warm start needs all arrays of the model in their configured shapes",
            "change the config to the sizes of those parameters, or leave out --init",
        )
    make = jax.jit(partial(create, stage), out_shardings=jax.tree.map(lambda leaf: leaf.sharding, abstract))
    return make(key, start)


def jitted_step(stage: Stage, state: TrainState, mesh: Mesh) -> Callable[..., tuple[TrainState, dict]]:
    """The step for states laid out like `state`, which it overwrites."""
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(
        partial(train_step, stage),
        in_shardings=(shardings, batch_sharding(mesh), replicated(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )


def place(mesh: Mesh, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """This process's rows of a batch -> arrays split over the mesh's batch axes."""
    sharding = batch_sharding(mesh)
    parts = ways(mesh, RULES["batch"])
    rows = len(next(iter(batch.values()))) * batch_share(mesh)[1]
    if rows % parts:
        raise CannotTrain(
            "the batch does not divide over the mesh",
            f"{rows} rows on {parts} devices",
            "data times fsdp divides the batch",
            "choose another --mesh, or another batch size in the config",
        )
    return {
        name: jax.make_array_from_process_local_data(sharding, x, (rows, *x.shape[1:])) for name, x in batch.items()
    }


def ahead(batches: Iterator[Any], place: Callable[[Any], Any]) -> Generator[Any, None, None]:
    """The batches, placed; the next one is made in a thread while the caller works on this one."""
    with ThreadPoolExecutor(1, "batches") as thread:
        coming = thread.submit(lambda: place(next(batches)))
        while True:
            batch = coming.result()
            coming = thread.submit(lambda: place(next(batches)))
            yield batch


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Within: SIGINT and SIGTERM are noted, not obeyed, and the function given says whether one came."""
    came: list[int] = []
    before = {s: signal.signal(s, lambda number, _: came.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
