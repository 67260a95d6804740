"""One run over several processes (JAX's multi-controller way): start, end, and what only process 0 does.

Every process runs the same program on its own devices; a mesh spans the devices of all. On Cloud TPU the hosts of a
slice, and slices, find each other by themselves; elsewhere `--coordinator HOST:PORT --processes N --process I` say it.
Inputs must be readable in every process. Outputs are written by process 0 alone, but for checkpoints, of which every
process writes its own shards into one shared folder.
"""

import argparse
import importlib.util
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from avatar_jax.media.errors import BadInput
from avatar_jax.peers import Peers, gather

T = TypeVar("T")
PATIENCE = 300.0
"""Seconds to wait for the other processes at the start."""


@dataclass(frozen=True)
class Place:
    """Which process this is; `coordinator` is empty where no others are met (one process, or --jobs)."""

    count: int = 1
    index: int = 0
    coordinator: str = ""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """`--coordinator`, `--processes`, `--process` and `--patience`."""
    group = parser.add_argument_group(
        "several processes",
        "On Cloud TPU leave these out: the hosts of a slice find each other. Elsewhere start the same command N times.",
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 is met; the next port is used too")
    group.add_argument("--processes", type=int, metavar="N", help="number of processes; 1 stays alone on a TPU too")
    group.add_argument("--process", type=int, metavar="I", help="number of this one, 0 to N-1; 0 writes the results")
    group.add_argument("--patience", type=float, default=PATIENCE, metavar="S", help="seconds to wait for the others")


def place_of(args: argparse.Namespace, alone: bool = False) -> Place:
    """The flags, checked. `alone`: processes share the work but never meet, so no coordinator is needed.

    Raises:
        BadInput: they do not fit together.
    """
    count, index, coordinator = args.processes, args.process, args.coordinator
    fix = "for example --coordinator localhost:8476 --processes 2 --process 0"
    if coordinator is None and count is None and index is None:
        return Place()
    index = 0 if index is None and count == 1 else index
    if count is None or index is None or not 0 <= index < count:
        raise BadInput("--processes, --process", f"{count}, {index}", "N processes have numbers from 0 to N - 1", fix)
    if alone or count == 1:
        return Place(count, index)
    host, _, port = (coordinator or "").rpartition(":")
    if coordinator is None or not host or not port.isdigit() or not 0 < int(port) < 65535:
        raise BadInput("--coordinator", coordinator, "HOST:PORT of process 0, with a free port after it", fix)
    return Place(count, index, coordinator)


_peers: Peers | None = None


def join(args: argparse.Namespace) -> None:
    """Become one of the run's processes; returns when all are here. Call before JAX touches a device.

    Raises:
        BadInput: the flags do not fit together.
        PeerLost: somebody does not come.
    """
    global _peers
    place = place_of(args)
    if place.coordinator:
        host, _, port = place.coordinator.rpartition(":")
        _peers = gather(host, int(port) + 1, place.count, place.index, args.patience)
        _peers.watch()
        jax.distributed.initialize(
            place.coordinator, place.count, place.index, cluster_detection_method="deactivate",
            initialization_timeout=max(10, int(args.patience)),
        )  # fmt: skip
    elif args.processes is None and on_cloud_tpu():
        jax.distributed.initialize(initialization_timeout=max(10, int(args.patience)))
    if not first():
        # Everything that is told, is told once; mistakes and progress go to standard error.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def all_take_part(mesh: Mesh) -> None:
    """Raises:
    BadInput: a process has no device in the mesh, so it would have nothing to do.
    """
    idle = set(range(jax.process_count())) - {device.process_index for device in mesh.devices.ravel()}
    if idle:
        got = f"{mesh.size} devices, none of process {min(idle)}"
        rule = f"{jax.device_count()} devices in {jax.process_count()} processes, and all processes take part"
        raise BadInput("--mesh", got, rule, f"for example --mesh data={jax.device_count()}")


def on_cloud_tpu() -> bool:
    """Whether this host has TPU chips that JAX will use."""
    wanted = os.environ.get("JAX_PLATFORMS", "tpu").split(",")
    chips = any(Path("/dev").glob("accel[0-9]*")) or any(Path("/dev/vfio").glob("[0-9]*"))
    return "tpu" in wanted and chips and importlib.util.find_spec("libtpu") is not None


def leave(status: int) -> int:
    """End in good order, with this exit status; the others are told. Returns the status where this process is alone."""
    if _peers is None:
        return status
    if sys.exc_info()[0] is not None:
        traceback.print_exc()
    _peers.leave(status)
    if status:
        # Python's own way out would wait for the others at JAX's shutdown barrier.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


@contextmanager
def profile(folder: Path | None) -> Iterator[None]:
    """Within: a trace for XProf (`xprof --logdir FOLDER`), one file for each process; without a folder nothing."""
    if folder is None:
        yield
        return
    with jax.profiler.trace(str(folder)):
        yield


def profiled_steps(folder: Path, start: int = 2, stop: int = 5) -> Callable[[int, Any], None]:
    """A hook of the training loop that traces the steps after `start` up to `stop`: compiled, and few."""
    begun: list[int] = []

    def hook(step: int, state: Any) -> None:
        if not begun and step >= start:
            jax.block_until_ready(state)
            jax.profiler.start_trace(str(folder))
            begun.append(step)
        elif begun and step == begun[0] + stop - start:
            jax.block_until_ready(state)
            jax.profiler.stop_trace()

    return hook


def report_step(step: int) -> None:
    """Let process 0 know how far this one has come."""
    if _peers is not None:
        _peers.report(step)


def slowest() -> str:
    """Who has come least far, as far as this process knows."""
    if _peers is None or not _peers.steps:
        return f"process {jax.process_index()} waits for the others"
    step, index = min((step, index) for index, step in _peers.steps.items())
    return f"process {index} of {_peers.count} {_peers.names.get(index, '')} was last heard of at step {step}"


def first() -> bool:
    """Whether this is process 0, which writes and tells what all have made."""
    return jax.process_index() == 0


def meet(where: str) -> None:
    """Returns when all processes have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def from_first(make: Callable[[], T]) -> T:
    """`make()` of process 0, in all processes: for whatever depends on files or clocks, so that all decide alike.

    Raises:
        BadInput: in all processes, where process 0 raised it.
    """
    if jax.process_count() == 1:
        return make()
    said = b""
    if first():
        try:
            said = pickle.dumps((make(), None))
        except BadInput as mistake:
            said = pickle.dumps((None, mistake))
    value, mistake = pickle.loads(_broadcast(said))
    if mistake is not None:
        raise mistake
    return value


def _broadcast(said: bytes) -> bytes:
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(said))))
    # Powers of two: every length is a program of its own.
    room = np.zeros(1 << max(10, (size - 1).bit_length()), np.uint8)
    room[: len(said)] = np.frombuffer(said, np.uint8)
    return bytes(np.asarray(multihost_utils.broadcast_one_to_all(room), np.uint8)[:size])


class Agreement:
    """Whether any process wants something, answered alike in all of them, without anybody waiting.

    A signal or a clock is one process's own; acting on it alone would leave the others in a collective for ever. With
    several processes the answer is to the question of the call before: it travels while the step runs.
    """

    def __init__(self, questions: int):
        self.asked: jax.Array | None = None
        self.none = (False,) * questions
        self.alone = jax.process_count() == 1
        if not self.alone:
            mesh = Mesh(np.asarray(jax.devices()), ("process",), axis_types=(AxisType.Auto,))
            self.spread = NamedSharding(mesh, PartitionSpec("process"))
            self.any = jax.jit(partial(jnp.any, axis=0), out_shardings=NamedSharding(mesh, PartitionSpec()))

    def __call__(self, *wishes: bool) -> tuple[bool, ...]:
        """One answer for every wish."""
        if self.alone:
            return wishes
        before = self.asked
        mine = np.tile(np.asarray(wishes), (jax.local_device_count(), 1))
        self.asked = self.any(jax.make_array_from_process_local_data(self.spread, mine))
        return self.none if before is None else tuple(map(bool, np.asarray(before)))
