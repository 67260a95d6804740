"""Checkpoints of a run: whole train states, written under a temporary name and renamed, so that none is ever half.

A save returns once the arrays are copied to the host; writing goes on in the background while training does. Several
processes write one checkpoint together, each the shards that its devices hold, into a folder that all of them see; any
other number of processes, on any mesh, opens it again.

A run's folder holds `checkpoints/STEP/` (Orbax; the newest ones and the best), `metrics.jsonl`, `config.json` and,
when training has ended, `result.json`. Beside the arrays a checkpoint keeps notes: the number of the next batch (all
that a reader of indexed batches is) and the random key.
"""

import contextlib
import logging
import shutil
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, cast

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from avatar_jax.distributed import first
from avatar_jax.training.groups import path_of
from avatar_jax.training.stage import CannotTrain
from avatar_jax.training.state import TrainState

WHOLE = ("_CHECKPOINT_METADATA", "default/_METADATA")
"""Files of every finished checkpoint."""
SCORE = "score"
"""Note of a checkpoint that was measured."""


class Restored(NamedTuple):
    """A state and the notes that were saved with it ({} in checkpoints of earlier versions)."""

    state: TrainState
    notes: dict[str, Any]


class NewestAndBest(preservation_policy.PreservationPolicy):
    """Keeps the `newest` last checkpoints and the one with the highest score."""

    def __init__(self, newest: int, scores: Mapping[int, float]):
        self.newest, self.scores = newest, scores

    def should_preserve(
        self, checkpoints: Sequence[Any], *, context: preservation_policy.PreservationContext
    ) -> Sequence[bool]:
        del context
        steps = [info.step for info in checkpoints]
        keep = {*sorted(steps)[-self.newest :]}
        scored = [step for step in steps if step in self.scores]
        keep |= {max(scored, key=lambda step: self.scores[step])} if scored else set()
        return [step in keep for step in steps]


def clear_remains(where: Path) -> None:
    """Delete what is left of checkpoints whose own deletion was cut short by a kill: Orbax deletes in place, takes the
    rest for a checkpoint, and fails to open it."""
    for path in where.glob("[0-9]*"):
        if path.is_dir() and not all((path / name).is_file() for name in WHOLE):
            shutil.rmtree(path, ignore_errors=True)


class Checkpoints:
    """The newest `keep` states below `folder` and the best; a context manager, since Orbax keeps threads."""

    def __init__(self, folder: Path, keep: int = 2):
        self.where = folder.absolute() / "checkpoints"
        self.scores: dict[int, float] = {}
        options = ocp.CheckpointManagerOptions(
            preservation_policy=NewestAndBest(keep, self.scores),
            enable_async_checkpointing=True,
            create=True,
            cleanup_tmp_directories=True,
        )
        with self.told():
            if first():
                clear_remains(self.where)
            self.manager = ocp.CheckpointManager(
                self.where, options=options, item_handlers=ocp.StandardCheckpointHandler()
            )
        for step in self.manager.all_steps():
            # What another process is clearing away at this moment has no score.
            with contextlib.suppress(OSError, ValueError):
                self.scores |= {step: float(n[SCORE])} if SCORE in (n := self.notes(step)) else {}

    def __enter__(self) -> "Checkpoints":
        threading.excepthook = _quiet
        # Orbax logs each error of its threads with a trace and raises it later, where it is told.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # After an error, that one is told of; a second one of the same disk says nothing new.
        with self.told() if error is None else contextlib.suppress(OSError, ValueError, RuntimeError):
            self.manager.close()
        threading.excepthook = threading.__excepthook__
        if error is None:
            logging.getLogger("absl").setLevel(logging.WARNING)
        else:
            # Writes that were on their way are reported once more when Python ends.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Within: what the file system refuses becomes one message, with the step that is safe."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, CannotTrain):
                raise
            reason = " ".join((getattr(error, "strerror", None) or str(error)).split())[:200]
            safe = self.newest_on_disk()
            kept = "no checkpoint is there yet" if safe is None else f"the last good checkpoint is that of step {safe}"
            rule = f"checkpoints go to a folder that can be written and has room; {kept}"
            fix = "make room or correct the folder's rights, then run the same command again"
            raise CannotTrain(f"cannot save below {self.where.parent}", reason, rule, fix) from error

    def newest_on_disk(self) -> int | None:
        """Step of the newest complete checkpoint, whatever this process believes; a save at work is waited for."""
        with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
            self.manager.wait_until_finished()
        found = [int(p.name) for p in self.where.iterdir() if p.name.isdigit()] if self.where.is_dir() else []
        return max(found, default=None)

    def step(self) -> int | None:
        """Step of the newest complete checkpoint, None if there is none."""
        return self.manager.latest_step()

    def best_step(self) -> int | None:
        """Step of the checkpoint with the highest score, None if none was measured."""
        return max(self.scores.keys() & set(self.manager.all_steps()), key=lambda s: self.scores[s], default=None)

    def notes(self, step: int) -> dict[str, Any]:
        """What was saved beside the arrays."""
        found = self.manager.metadata(step)
        return dict(getattr(found, "custom_metadata", None) or {})

    def save(self, state: TrainState, notes: Mapping[str, Any] | None = None, score: float | None = None) -> None:
        """Returns when the arrays are copied; one step's checkpoint that exists already is left alone.

        Raises:
            CannotTrain: this save, or the one before it, cannot be written.
        """
        step = int(state.step)
        with self.told():
            self.manager.check_for_errors()
            if step in self.manager.all_steps():
                return
            if score is not None:
                self.scores[step] = score
            beside = dict(notes or {}) | ({} if score is None else {SCORE: score})
            self.manager.save(step, args=ocp.args.StandardSave(state), custom_metadata=beside)

    def wait(self) -> None:
        """Returns when everything is on disk.

        Raises:
            CannotTrain: it cannot be written.
        """
        with self.told():
            self.manager.wait_until_finished()
            self.manager.check_for_errors()

    def restore(self, layout: TrainState, step: int | None = None) -> Restored:
        """A state (the newest), laid out over the mesh as `layout` says, whatever mesh it was saved on.

        Raises:
            CannotTrain: if there is none, or its arrays have other names or shapes than the configured model's.
        """
        step = self.step() if step is None else step
        if step is None:
            raise CannotTrain("no checkpoint", self.manager.directory, "a run that has saved one", "train it first")
        saved = self.manager.item_metadata(step)
        if wrong := first_difference(shapes(saved), shapes(layout)):
            raise CannotTrain(
                "checkpoint does not fit the configured model",
                wrong,
                "a run goes on with the model that it began with",
                "use the config and overrides of this run (config.json in its folder), or another --out",
            )
        state = self.manager.restore(step, args=ocp.args.StandardRestore(layout))
        return Restored(cast(TrainState, state), self.notes(step))


def _quiet(failure: Any) -> None:
    """Errors of Orbax's threads are raised again where the next checkpoint is saved; there they are told."""
    where = traceback.extract_tb(failure.exc_traceback)
    if not any("orbax" in frame.filename for frame in where):
        threading.__excepthook__(failure)


def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Names -> shapes of all arrays, whatever the containers are."""
    return {path_of(path): tuple(leaf.shape) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def first_difference(got: Mapping[str, tuple[int, ...]], want: Mapping[str, tuple[int, ...]]) -> str:
    """One sentence on the first array that differs; empty if none does."""
    for name in sorted(got.keys() | want.keys()):
        if got.get(name) != want.get(name):
            have, need = (str(x.get(name, "missing")) for x in (got, want))
            return f"{name} is {have}, the config wants {need}"
    return ""
