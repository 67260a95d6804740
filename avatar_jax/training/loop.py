"""The training loop: one jitted step over a mesh, resumed exactly from the newest checkpoint.

A run that was interrupted, killed even, and started again ends with the same bits as one that was not: batches depend
on (seed, step), random keys on the step, and the state is saved whole.
"""

import math
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from avatar_jax.distributed import Agreement, first
from avatar_jax.mesh import RULES, batch_sharding, batch_share, replicated, ways
from avatar_jax.training.checkpoint import Checkpoints, first_difference, shapes
from avatar_jax.training.hooks import Hook, MetricsFile, Progress
from avatar_jax.training.notices import stop_asked
from avatar_jax.training.optim import schedule
from avatar_jax.training.pace import Pace, peak_of
from avatar_jax.training.run_folder import alone_in, keep_config
from avatar_jax.training.stage import EXAMPLES, CannotTrain, Params, Stage
from avatar_jax.training.state import HOST, TrainState, create, layout, train_step
from avatar_jax.training.watch import watched

Count = Callable[..., float]
"""(function, *arguments) -> products of one call, as `tpu.work.traced_flops`."""


@dataclass(frozen=True)
class LoopConfig:
    """How a run is driven; nothing here changes what is learnt, except `seed`."""

    seed: int = 0
    """Of the first parameters and of the noise in the steps."""
    save_seconds: float = 120.0
    """A checkpoint so often; 0: after every step."""
    keep: int = 2
    """Newest checkpoints that are kept."""
    best: str = ""
    """Metric whose best checkpoint is kept as well, saved when a hook measures it; `-loss` for the lowest."""
    log_every: int = 1
    pace_every: int = 50
    """Steps between readings of speed and waiting."""
    sample_every: int = 0
    """Steps between videos with sound of held-out cases and their scores (`train.py`); 0: none."""
    preemption: str = ""
    """`gce`, or a URL that answers TRUE when this machine is to be taken away; SIGTERM is heard always."""
    patience_seconds: float = 1800.0
    """With several processes: the longest that a step may take, the first one's compilation included; 0: any time."""
    allow_changes: bool = False
    """Go on in a folder whose run began with another config."""


class Interrupted(KeyboardInterrupt):
    """SIGINT, SIGTERM or a notice came; the state was saved before this was raised."""


class Placed(NamedTuple):
    """A batch on the mesh, its number, and the numbers of this process's examples, if they have any."""

    arrays: dict[str, jax.Array]
    number: int
    examples: np.ndarray | None


@dataclass
class Log:
    """Writes each step's numbers one step later, when they are there without waiting."""

    stage: Stage
    checkpoints: Checkpoints
    metrics: MetricsFile
    bar: Progress
    config: LoopConfig
    pending: tuple[int, dict[str, jax.Array], dict[str, float], np.ndarray | None] | None = None
    scores: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rate = schedule(self.stage.config.optimiser)

    def flush(self) -> None:
        """Raises:
        FloatingPointError: the loss is not finite.
        """
        if self.pending is None:
            return
        n, scalars, extra, examples = self.pending
        self.pending = None
        values = {name: float(value) for name, value in jax.device_get(scalars).items()}
        if not math.isfinite(values["loss"]):
            raise FloatingPointError(self.not_finite(n, values["loss"], examples))
        if n % self.config.log_every == 0 or extra:
            with self.checkpoints.told():
                self.metrics.write(n, values | {"rate": float(self.rate(n - 1))} | extra, examples)
        self.bar.update(n, values["loss"], self.metrics.clock)
        self.scores = values | extra

    def not_finite(self, step: int, loss: float, examples: np.ndarray | None) -> str:
        which = "" if examples is None else f", examples {', '.join(map(str, np.asarray(examples).tolist()))}"
        safe = self.checkpoints.newest_on_disk()
        kept = "there is no checkpoint" if safe is None else f"the last good checkpoint is that of step {safe}"
        return (
            f"{self.stage.name}: the loss of step {step} is {loss} (batch {step - 1}{which})\n"
            f"rule: a loss is finite, and nothing is saved after one that is not; {kept}\n"
            "fix: look at these examples; then run again with a lower rate or clip, which needs another --out"
        )

    def score(self, best: str) -> float | None:
        """The newest value of the metric that says which checkpoint is best; higher is better."""
        value = self.scores.get(best.removeprefix("-"))
        return None if not best or value is None else -value if best.startswith("-") else value


def run(
    stage: Stage,
    folder: Path,
    mesh: Mesh,
    config: LoopConfig,
    start: Params | None = None,
    hooks: Sequence[Hook] = (),
    count: Count | None = None,
) -> TrainState:
    """Train `stage` to its last step in `folder`, going on from the newest checkpoint found there.

    Args:
        start: parameters of a run without checkpoints, instead of the stage's own.
        hooks: called after every step; what they return goes to `metrics.jsonl`.
        count: counts the products of a step, for the devices' share of their peak.

    Raises:
        CannotTrain: if the folder is in use, its config another one or it cannot be written; if parameters, checkpoint
            or batch do not fit the stage or the mesh.
        FloatingPointError: if the loss is not finite.
        Interrupted: after SIGINT, SIGTERM or a notice; run again to go on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps = stage.config.optimiser.steps
    init_key, step_key = jax.random.split(jax.random.key(config.seed))
    # One process holds the folder for all of its run.
    with (
        alone_in(folder) if first() else nullcontext(),
        jax.set_mesh(mesh),
        Checkpoints(folder, config.keep) as checkpoints,
        stop_asked(config.preemption) as stopped,
        watched(config.patience_seconds if jax.process_count() > 1 else 0) as alive,
    ):
        state, step_key = first_state(stage, init_key, step_key, mesh, checkpoints, config, start)
        for change in keep_config(folder, stage.config, config.allow_changes) if first() else ():
            print(f"{stage.name}: changed since this run began: {change}", file=sys.stderr)
        fixed = stage.fixed(mesh)
        step = jitted_step(stage, state, mesh, fixed)
        at = int(state.step)
        # One file, one bar: what the other processes write goes nowhere.
        metrics = MetricsFile(folder / "metrics.jsonl" if first() else None, at)
        bar = Progress(stage.name, at, steps, quiet=not first())
        log, agreed, pace = Log(stage, checkpoints, metrics, bar, config), Agreement(2), Pace()
        saved, asked = time.monotonic(), False
        notes = {"seed": config.seed, "rng": np.asarray(jax.random.key_data(step_key)).tolist()}

        def save(now: TrainState) -> None:
            with pace.waiting("checkpoint"):
                checkpoints.save(now, notes | {"next_batch": at}, log.score(config.best))

        with (
            closing(metrics),
            closing(bar),
            closing(ahead(numbered(stage, at, mesh), partial(place, stage, mesh))) as batches,
        ):
            stop = stopped() and jax.process_count() == 1
            while at < steps and not stop:
                with pace.waiting("data"):
                    batch = next(batches)
                if not pace.rows:
                    pace = measured(stage, state.params, fixed, batch, step_key, mesh, count)
                state, scalars = step(state, fixed, batch.arrays, step_key)
                at, pace.steps = at + 1, pace.steps + 1
                # The previous step's numbers are fetched while this one runs.
                log.flush()
                alive(at)
                extra = {} if stopped() else {n: v for hook in hooks for n, v in (hook(at, state) or {}).items()}
                extra |= pace.read() if at % config.pace_every == 0 else {}
                log.pending = (at, scalars, extra, batch.examples)
                best = bool(config.best) and config.best.removeprefix("-") in extra
                due = first() and not asked and (best or time.monotonic() - saved > config.save_seconds)
                stop, now = agreed(stopped(), due)
                asked = due and not now
                if now:
                    log.flush()
                    save(state)
                    saved = time.monotonic()
            log.flush()
            save(state)
            checkpoints.wait()
        if at < steps:
            raise Interrupted(f"{stage.name}: stopped and saved at step {at} of {steps}")
    return state


def first_state(
    stage: Stage,
    key: jax.Array,
    step_key: jax.Array,
    mesh: Mesh,
    checkpoints: Checkpoints,
    config: LoopConfig,
    start: Params | None = None,
) -> tuple[TrainState, jax.Array]:
    """(state, key of the steps): the newest checkpoint's, or the given parameters, or fresh ones; every shard made
    where it belongs."""
    abstract = layout(stage, key, mesh)
    if checkpoints.step() is not None:
        state, notes = checkpoints.restore(abstract)
        if notes.get("seed", config.seed) != config.seed and not config.allow_changes:
            rule, fix = "a run goes on with its first seed", f"--loop.seed={notes['seed']}, or another --out"
            raise CannotTrain("the seed is not that of the run", f"{notes['seed']} -> {config.seed}", rule, fix)
        if "rng" in notes:
            step_key = jax.random.wrap_key_data(jnp.asarray(notes["rng"], jnp.uint32))
        return state, step_key
    start = stage.start(mesh) if start is None else start
    if start is not None and (wrong := first_difference(shapes(start), shapes(abstract.params))):
        raise CannotTrain(
            f"the parameters to start {stage.name} from do not fit",
            wrong,
            "a warm start needs all arrays of the model in their configured shapes",
            "change the config to the sizes of those parameters, or leave out --init",
        )
    make = jax.jit(partial(create, stage), out_shardings=jax.tree.map(lambda leaf: leaf.sharding, abstract))
    return make(key, start), step_key


def jitted_step(stage: Stage, state: TrainState, mesh: Mesh, fixed: Params) -> Callable[..., tuple[TrainState, dict]]:
    """(state, fixed, batch, key) -> the step for states laid out like `state`, which it overwrites."""
    shardings, lie = (jax.tree.map(lambda leaf: leaf.sharding, tree) for tree in (state, fixed))
    at_rest = shardings.moments
    offloaded = any(s.memory_kind == HOST for s in jax.tree.leaves(at_rest))
    moments_at = (jax.tree.map(lambda s: s.with_memory_kind("device"), at_rest), at_rest) if offloaded else None

    def step(state: TrainState, fixed: Params, batch: dict[str, jax.Array], key: jax.Array) -> tuple[TrainState, dict]:
        return train_step(stage, state, batch, key, fixed, moments_at)

    return jax.jit(
        step,
        in_shardings=(shardings, lie, batch_sharding(mesh), replicated(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )


def measured(
    stage: Stage, params: Params, fixed: Params, batch: Placed, key: jax.Array, mesh: Mesh, count: Count | None
) -> Pace:
    """A clock for steps on batches like this one.

    Products of a step: forward, as many backward to activations, as many to weights for the share that is trained.
    What is made again to save memory is no work.
    """

    def forward(params: Params, fixed: Params, batch: dict[str, jax.Array], key: jax.Array) -> jax.Array:
        return stage.loss(stage.whole(params, fixed), batch, key)[0]

    rows = len(next(iter(batch.arrays.values())))
    trained, frozen = (sum(x.size for x in jax.tree.leaves(tree)) for tree in (params, fixed))
    times = 2 + trained / (trained + frozen)
    flops = 0.0 if count is None else times * count(forward, params, fixed, batch.arrays, key)
    return Pace(rows, flops, peak_of(mesh.devices.ravel()[0].device_kind, mesh.size))


def numbered(stage: Stage, start: int, mesh: Mesh) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
    """(number, this process's rows) of the batches from `start` on."""
    return enumerate(stage.share(start, *batch_share(mesh)), start)


def place(stage: Stage, mesh: Mesh, given: tuple[int, Mapping[str, np.ndarray]]) -> Placed:
    """This process's rows of a batch -> arrays split over the mesh's batch axes.

    Raises:
        CannotTrain: they are not what the stage wants, or do not divide.
    """
    number, batch = given
    check_batch(stage, number, batch)
    sharding = batch_sharding(mesh)
    parts = ways(mesh, RULES["batch"])
    rows = len(next(iter(batch.values()))) * batch_share(mesh)[1]
    whole = parts * stage.config.optimiser.accumulate
    if rows % whole:
        raise CannotTrain(
            "the batch does not divide over the mesh",
            f"{rows} rows on {parts} devices" + (f" in {whole // parts} parts" if whole > parts else ""),
            "data times fsdp, times the optimiser's `accumulate`, divides the batch",
            "choose another --mesh, or another batch size in the config",
        )
    arrays = {
        name: jax.make_array_from_process_local_data(sharding, x, (rows, *x.shape[1:]))
        for name, x in batch.items()
        if name != EXAMPLES
    }
    return Placed(arrays, number, batch.get(EXAMPLES))


def check_batch(stage: Stage, number: int, batch: Mapping[str, np.ndarray]) -> None:
    """Raises:
    CannotTrain: an array is missing, or has another shape than the stage wants.
    """
    for name, sides in stage.wanted().items():
        got = batch[name].shape[1:] if name in batch else None
        fits = got is not None and len(got) == len(sides)
        if not fits or any(want not in (None, have) for have, want in zip(got or (), sides, strict=True)):
            wanted = ", ".join("any" if side is None else str(side) for side in sides)
            raise CannotTrain(
                f"the data do not fit {stage.name}",
                f"{name} of batch {number} is {'missing' if got is None else got}",
                f"it is ({wanted}) in every example",
                "make the data for this config, or configure the model for the data",
            )


def ahead(batches: Iterator[Any], place: Callable[[Any], Any]) -> Generator[Any, None, None]:
    """The batches, placed; the next one is made in a thread while the caller works on this one."""
    with ThreadPoolExecutor(1, "batches") as thread:
        coming = thread.submit(lambda: place(next(batches)))
        while True:
            batch = coming.result()
            coming = thread.submit(lambda: place(next(batches)))
            yield batch
