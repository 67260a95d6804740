"""Public weights into memory over a mesh, or into a folder that opens faster: the two ends of one checked stream.

request = Request("infinitetalk_14b", "Wan2.1-I2V-14B-480P", overlays=("single/infinitetalk.safetensors",))
loaded = load(request, mesh, jnp.bfloat16)      # loaded.params["dit"], loaded.params["audio_projector"]
convert(request, Path("out"), mesh, jnp.bfloat16)
loaded = load(Request("infinitetalk_14b", "out"), mesh, jnp.bfloat16)
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax.traverse_util import unflatten_dict
from jax.sharding import Mesh

from avatar_jax.mesh import parameter_shardings
from avatar_jax.weights.catalog import Part, folder_of, parts
from avatar_jax.weights.folder import RECORD, Folder
from avatar_jax.weights.hub import located
from avatar_jax.weights.lora import open_lora
from avatar_jax.weights.mapping import Place, Shape, Target, by_path, flat_shapes
from avatar_jax.weights.on_mesh import OnMesh
from avatar_jax.weights.plan import Plan, make_plan
from avatar_jax.weights.reader import Source, open_source, read_config, read_json
from avatar_jax.weights.ship import WeightsError
from avatar_jax.weights.stream import Progress, dtype_of, stream

RESTORE_GB = 1
"""Most that is read and not yet placed while a converted folder is opened."""
Watch = Callable[[int], Progress]
"""Given the bytes of all tensors to come, what to tell of each."""


def unwatched(total: int) -> Progress:
    del total
    return lambda _: None


@dataclass(frozen=True)
class Request:
    """What to load: a family or module of the catalog, its base, what is laid over it and what is merged into it."""

    family: str
    source: str
    """A folder, a file, a folder that `convert` wrote, or owner/name[@revision] on the hub."""
    overlays: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()
    """FILE or FILE:scale; with two experts also high=FILE or low=FILE."""


@dataclass(frozen=True)
class Job:
    """One part, checked and ready to run."""

    part: Part
    config: dict[str, Any]
    target: Target
    plan: Plan
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Loaded:
    """Parameters over a mesh. With two experts, both dictionaries have one entry for each."""

    params: dict[str, Any]
    configs: dict[str, dict[str, Any]]
    """The checkpoint's config.json of each part ("" where there is one part)."""
    notes: tuple[str, ...]


def prepare(request: Request) -> list[Job]:
    """Open every file's header and check every key; no number is read.

    Raises:
        WeightsError: on whatever is wrong with the request or its files (KeyMismatch where keys do not fit).
    """
    jobs = []
    for part in parts(request.family):
        roots = [located(text, part.folders) for text in (request.source, *request.overlays)]
        sources = [open_source(folder_of(root, part)) for root in roots]
        config = sources[0].config or (read_config(roots[0]) if roots[0].is_dir() else {})
        if not config and not part.released:
            rule = f"{request.family} takes its sizes from config.json"
            raise WeightsError("no config.json", roots[0], rule, "give the folder that holds it, not the file")
        target = target_of(part, request, config)
        chosen = [text for text in (lora_for(part, text) for text in request.loras) if text]
        loras = [open_lora(text) for text in chosen]
        plan = make_plan(f"{request.family} {part.name}".strip(), target, sources, loras)
        files = [*(path for source in sources for path in source.files), *(lora.path for lora in loras)]
        jobs.append(Job(part, config, target, plan, tuple(files)))
    return jobs


def target_of(part: Part, request: Request, config: dict[str, Any]) -> Target:
    """The model that a config.json describes; one that makes no sense for the family is a user's mistake."""
    try:
        return part.target(config)
    except WeightsError:
        raise
    except (KeyError, TypeError, AttributeError, AssertionError, ArithmeticError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        got = f"config.json of {request.source} ({type(error).__name__}: {reason})"
        rule, fix = f"a model of {request.family}", "give the folder of that model, or another --family"
        raise WeightsError("config.json not understood", got, rule, fix) from error


def lora_for(part: Part, text: str) -> str:
    """The LoRA's file and scale if it is meant for this part, else nothing."""
    name, equals, file = text.partition("=")
    if not equals or Path(text).exists():
        return text
    return file if name == part.name else ""


def load(request: Request, mesh: Mesh, dtype: Any, watch: Watch = unwatched) -> Loaded:
    """Parameters straight into arrays that are sharded over the mesh."""
    if is_converted(Path(request.source)):
        return restore(request, mesh)
    jobs = prepare(request)
    progress = watch(sum(job.plan.nbytes for job in jobs))
    params: dict[str, Any] = {}
    for job in jobs:
        sink = OnMesh(job.target, mesh, dtype)
        stream(job.plan, job.target, dtype, sink, progress)
        params |= {job.part.name: sink.params()} if job.part.name else sink.params()
    notes = tuple(note for job in jobs for note in job.plan.notes)
    return Loaded(params, {job.part.name: job.config for job in jobs}, notes)


@dataclass(frozen=True)
class Below:
    """A sink for one part of a larger folder."""

    folder: Folder
    prefix: str

    def _place(self, place: Place) -> Place:
        return Place(self.prefix + place.path, place.layer, place.shape, place.layout)

    def has(self, place: Place) -> bool:
        return self.folder.has(self._place(place))

    def put(self, place: Place, numbers: np.ndarray) -> None:
        self.folder.put(self._place(place), numbers)


def convert(request: Request, out: Path, mesh: Mesh, dtype: Any, watch: Watch = unwatched) -> tuple[str, ...]:
    """Write the weights as an Orbax checkpoint whose chunks are what one device of `mesh` holds of one layer.

    Memory stays at two copies of the tensor at hand. An interrupted run leaves a hidden folder beside `out`; the same
    request goes on from there.

    Returns:
        the plan's notes.

    Raises:
        WeightsError: see `prepare`; and if `out` exists.
    """
    if is_converted(Path(request.source)):
        raise WeightsError("nothing to convert", request.source, "a public checkpoint", "load it as it is")
    jobs = prepare(request)
    files = [path for job in jobs for path in job.files]
    record = {
        "family": request.family,
        "dtype": np.dtype(dtype).name,
        "mesh": {axis: size for axis, size in mesh.shape.items() if size > 1},
        "configs": {job.part.name: job.config for job in jobs},
        "loras": list(request.loras),
        "files": [[str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns] for path in files],
    }
    chunks: dict[str, tuple[Shape, np.dtype, Shape]] = {}
    for job in jobs:
        chunks |= {prefix_of(job) + path: chunk for path, chunk in chunks_of(job, mesh, dtype).items()}
    folder = Folder(out, record, chunks)
    progress = watch(sum(job.plan.nbytes for job in jobs))
    for job in jobs:
        stream(job.plan, job.target, dtype, Below(folder, prefix_of(job)), progress)
    folder.finish()
    return tuple(note for job in jobs for note in job.plan.notes)


def prefix_of(job: Job) -> str:
    return f"{job.part.name}/" if job.part.name else ""


def chunks_of(job: Job, mesh: Mesh, dtype: Any) -> dict[str, tuple[Shape, np.dtype, Shape]]:
    """Shape, dtype and chunk shape of every parameter of a part."""
    shapes = flat_shapes(job.target.abstract)
    shardings = by_path(parameter_shardings(job.target.abstract, mesh))
    stacked = {step.place.path for step in job.plan.steps if step.place.layer is not None}
    chunks = {}
    for path, shape in shapes.items():
        piece = shardings[path].shard_shape(shape)
        chunks[path] = (shape, dtype_of(path, job.target, dtype), (1, *piece[1:]) if path in stacked else piece)
    return chunks


def is_converted(folder: Path) -> bool:
    """Whether `convert` wrote this folder."""
    return (folder / RECORD).is_file()


def restore(request: Request, mesh: Mesh) -> Loaded:
    """A folder that `convert` wrote, over any mesh, in the dtype that it was written in.

    Raises:
        WeightsError: if it holds another family, or if something is to be laid over it.
    """
    folder = Path(request.source).absolute()
    record = read_json(folder / RECORD)
    if record["family"] != request.family:
        fix = f"--family {record['family']}"
        raise WeightsError("wrong family", f"{folder} holds {record['family']}", f"weights of {request.family}", fix)
    if request.overlays or request.loras:
        raise WeightsError(
            "converted weights are final",
            folder,
            "overlays and LoRAs go into the conversion",
            "convert with them",
        )
    layout: dict[str, Any] = {}
    for part in parts(request.family):
        target = part.target(record["configs"][part.name])
        shardings = by_path(parameter_shardings(target.abstract, mesh))
        for path, shape in flat_shapes(target.abstract).items():
            dtype = dtype_of(path, target, np.dtype(record["dtype"]))
            name = f"{part.name}/{path}" if part.name else path
            layout[name] = jax.ShapeDtypeStruct(shape, dtype, sharding=shardings[path])
    # Without a bound, all of the model would be in flight beside its destination.
    handler = ocp.StandardCheckpointHandler(restore_concurrent_gb=RESTORE_GB)
    with ocp.Checkpointer(handler) as checkpointer:
        params = checkpointer.restore(folder, args=ocp.args.StandardRestore(unflatten_dict(layout, sep="/")))
    return Loaded(params, record["configs"], ())


def fill(target: Target, sources: list[Source], mesh: Mesh, dtype: Any = np.float32) -> dict[str, Any]:
    """Parameters of one target from opened sources: `load` for models that are not in the catalog."""
    sink = OnMesh(target, mesh, dtype)
    stream(make_plan("the model", target, sources), target, dtype, sink)
    return sink.params()
