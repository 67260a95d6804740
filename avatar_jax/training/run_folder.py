"""A run's folder belongs to one run at a time, and to the config that it began with."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from avatar_jax.training.stage import CannotTrain

FREE = ("optimiser.steps",)
"""What may change between parts of a run: `--steps` makes it longer."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Within: no other run can enter the folder. The operating system lets go of it when a process is killed.

    Raises:
        CannotTrain: another run is in it.
    """
    path = folder / ".running"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            who = file.read().strip() or "another process"
            rule = "one run at a time writes checkpoints and metrics of a folder"
            raise CannotTrain(
                f"{folder} is in use", who, rule, "wait for it, stop it, or choose another --out"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
        file.truncate(0)


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


def changes(folder: Path, config: Any) -> dict[str, str]:
    """Name -> "old -> new" where the config differs from the one that the folder's run began with.

    What the old one does not name has been added to the code since, and is no change.
    """
    # Through JSON and back, and compared as text: not a number is then itself.
    path, after = folder / "config.json", dict(flat(json.loads(json.dumps(described(config)))))
    before = dict(flat(json.loads(path.read_text()))) if path.exists() else after
    return {
        name: f"{before[name]} -> {after.get(name, 'gone')}"
        for name in sorted(before)
        if str(before[name]) != str(after.get(name, "gone"))
    }


def keep_config(folder: Path, config: Any, allow: bool) -> list[str]:
    """Write `config.json`; the lines "name: old -> new" where it differs from the one found there.

    Raises:
        CannotTrain: something changed that a run cannot change on its way, and `allow` does not say so.
    """
    found = changes(folder, config)
    if (refused := [name for name in found if name not in FREE]) and not allow:
        shown = "; ".join(f"{name}: {found[name]}" for name in refused[:8])
        more = f"; and {len(refused) - 8} more" if len(refused) > 8 else ""
        raise CannotTrain(
            f"the config is not that of the run in {folder}",
            shown + more,
            "a run goes on with the config that it began with",
            "take the overrides back, choose another --out, or --loop.allow_changes=true",
        )
    write_json(folder / "config.json", described(config))
    return [f"{name}: {change}" for name, change in found.items()]


def write_json(path: Path, value: Any) -> None:
    """A whole file or none."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(path)


def flat(value: Any, at: str = "") -> list[tuple[str, Any]]:
    """(dotted name, value) of everything in nested dictionaries."""
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in flat(inner, f"{at}.{name}" if at else name)]
    return [(at, value)]
