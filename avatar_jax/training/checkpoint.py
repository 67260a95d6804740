"""Checkpoints of a run: whole train states, written under a temporary name and renamed, so that none is ever half.

Several processes write one checkpoint together, each the shards that its devices hold, into a folder that all of them
see; any other number of processes opens it again.

A run's folder holds `checkpoints/STEP/` (Orbax; the newest ones), `metrics.jsonl`, `config.json` and, when training
has ended, `result.json`.
"""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import jax
import orbax.checkpoint as ocp

from avatar_jax.training.stage import CannotTrain
from avatar_jax.training.state import TrainState


class Checkpoints:
    """The newest `keep` states below `folder`; a context manager, since Orbax keeps threads."""

    def __init__(self, folder: Path, keep: int = 2):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=False, create=True)
        where = folder.absolute() / "checkpoints"
        self.manager = ocp.CheckpointManager(where, options=options, item_handlers=ocp.StandardCheckpointHandler())

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.manager.close()

    def step(self) -> int | None:
        """Step of the newest complete checkpoint, None if there is none."""
        return self.manager.latest_step()

    def save(self, state: TrainState) -> None:
        """Returns when the checkpoint is complete on disk; one that exists already is left alone."""
        step = int(state.step)
        if step not in self.manager.all_steps():
            self.manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, layout: TrainState) -> TrainState:
        """The newest state, laid out over the mesh as `layout` says, whatever mesh it was saved on.

        Raises:
            CannotTrain: if there is none, or its arrays have other names or shapes than the configured model's.
        """
        step = self.step()
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
        return cast(TrainState, self.manager.restore(step, args=ocp.args.StandardRestore(layout)))


def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Names -> shapes of all arrays, whatever the containers are."""
    return {_name(path): tuple(leaf.shape) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def first_difference(got: dict[str, tuple[int, ...]], want: dict[str, tuple[int, ...]]) -> str:
    """One sentence on the first array that differs; empty if none does."""
    for name in sorted(got.keys() | want.keys()):
        if got.get(name) != want.get(name):
            have, need = (str(x.get(name, "missing")) for x in (got, want))
            return f"{name} is {have}, the config wants {need}"
    return ""


def _name(path: Any) -> str:
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def described(value: Any) -> Any:
    """A config as plain JSON values: dataclasses become dictionaries, functions and modules their names."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: described(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(k): described(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [described(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return getattr(value, "__name__", None) or str(value)


def record_config(folder: Path, config: Any) -> list[str]:
    """Write `config.json`; the lines "name: old -> new" where it differs from the one found there."""
    path, new = folder / "config.json", described(config)
    old = json.loads(path.read_text()) if path.exists() else new
    write_json(path, new)
    before, after = (dict(_flat(x)) for x in (old, new))
    return [
        f"{name}: {before.get(name)} -> {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def write_json(path: Path, value: Any) -> None:
    """A whole file or none."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(path)


def _flat(value: Any, at: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in _flat(inner, f"{at}.{name}" if at else name)]
    return [(at, value)]
