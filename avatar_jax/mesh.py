"""Device mesh, and the one table that says over which mesh axis each logical axis is split.

Parameters carry logical axis names (`partitioned`), activations get theirs from `constrain`. Code
never names a mesh axis: to lay a model out differently, change RULES.
"""

import math
import os
from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("data", "fsdp", "seq", "tensor")
"""Mesh axes, outermost first: segments and batch | weights too large for one chip | tokens | heads and hidden units."""

RULES: dict[str, str | tuple[str, ...] | None] = {
    # activations
    "batch": ("data", "fsdp"),
    "tokens": "seq",
    "features": None,
    "rows": "seq",
    "columns": None,
    # parameters
    "layers": None,
    "embed": ("fsdp", "seq"),
    "heads": "tensor",
    "mlp": "tensor",
    "small": None,
}
"""Logical axis -> mesh axis (or axes). `small` marks widths that are never worth splitting."""


OVER_SLICES = "dcn."
"""Before an axis in a mesh: so many times over the network between slices, outside what lies in one slice."""


def parse_mesh(spec: str) -> dict[str, int]:
    """`"data=4,seq=2"` -> {"data": 4, "fsdp": 1, "seq": 2, "tensor": 1}; the empty string is one device.

    Sizes are those of the whole mesh: `"dcn.data=2,data=3"` has 6 on its data axis.

    Raises:
        ValueError: on an unknown axis, a repeated axis or a size below one.
    """
    inside, over = parse_axes(spec)
    return {axis: inside[axis] * over[axis] for axis in AXES}


def parse_axes(spec: str) -> tuple[dict[str, int], dict[str, int]]:
    """Sizes of all axes (within a slice, over slices).

    Raises:
        ValueError: as `parse_mesh`.
    """
    sizes: dict[str, int] = {}
    for part in filter(None, (p.strip() for p in spec.split(","))):
        name, _, size = part.partition("=")
        if name.removeprefix(OVER_SLICES) not in AXES or name in sizes or not size.isdigit() or int(size) < 1:
            raise ValueError(
                f"Mesh: got {part!r} in {spec!r}.\n"
                f"Rule: axis=size, axes {', '.join(AXES)} and dcn.AXIS (over slices), each once, sizes of 1 or more.\n"
                "Fix: for example --mesh data=4,seq=2, or --mesh dcn.data=2,data=1,seq=4 for two slices."
            )
        sizes[name] = int(size)
    return {axis: sizes.get(axis, 1) for axis in AXES}, {axis: sizes.get(OVER_SLICES + axis, 1) for axis in AXES}


ORDERED = "--xla_cpu_enable_concurrency_optimized_scheduler=false"
"""Made-up devices take independent collectives in one order: else two of them may wait for each other for ever."""


def set_host_devices(spec: str, processes: int = 1) -> None:
    """Give the CPU backend as many devices as `spec` asks for, shared out over `processes`.

    Call before JAX touches a device.
    """
    count = -(-math.prod(parse_mesh(spec).values()) // processes)
    flags = os.environ.get("XLA_FLAGS", "")
    if count > 1 and "xla_force_host_platform_device_count" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={count} {ORDERED}".strip()


def make_mesh(spec: str = "", devices: list[jax.Device] | None = None) -> Mesh:
    """Mesh over the first devices, with all four axes (size 1 where `spec` is silent) and Auto axis types.

    With `dcn.` axes it is a hybrid mesh: all other axes stay within a slice each, where the interconnect is fast.

    Raises:
        ValueError: if fewer devices, or slices, exist than `spec` asks for.
    """
    inside, over = (tuple(sizes.values()) for sizes in parse_axes(spec))
    have = devices if devices is not None else jax.devices()
    need = math.prod(inside) * math.prod(over)
    if need > len(have):
        raise ValueError(
            f"Mesh: {spec!r} asks for {need} devices, got {len(have)}.\n"
            "Rule: the sizes of a mesh multiply to at most the number of devices.\n"
            "Fix: use smaller sizes, or more devices."
        )
    groups = slices(have, math.prod(over))
    if len(groups) < math.prod(over) or any(len(group) < math.prod(inside) for group in groups):
        raise ValueError(
            f"Mesh: {spec!r} asks for {math.prod(over)} slices of {math.prod(inside)}, got {list(map(len, groups))}.\n"
            "Rule: dcn. axes multiply to the number of slices, the others to at most the devices of one.\n"
            "Fix: give the axes other sizes."
        )
    chosen = np.asarray([group[: math.prod(inside)] for group in groups]).reshape(*over, *inside)
    # (over, inside) of each axis side by side: what is over slices is the outer half of its axis.
    order = [axis + half for axis in range(len(AXES)) for half in (0, len(AXES))]
    shape = [o * i for o, i in zip(over, inside, strict=True)]
    return Mesh(chosen.transpose(order).reshape(shape), AXES, axis_types=(AxisType.Auto,) * len(AXES))


def slices(devices: list[jax.Device], count: int) -> list[list[jax.Device]]:
    """Devices of the first `count` slices; where devices know of no slices, equal runs of them stand for these."""
    groups: dict[int, list[jax.Device]] = {}
    for device in devices:
        groups.setdefault(getattr(device, "slice_index", 0), []).append(device)
    if count == 1 or len(groups) >= count:
        return [devices] if count == 1 else [groups[number] for number in sorted(groups)[:count]]
    size = len(devices) // count
    return [devices[i * size : (i + 1) * size] for i in range(count)]


def partitioned(init: Callable[..., Any], *logical: str | None) -> Callable[..., jax.Array]:
    """`init`, with the logical names of the parameter's axes kept beside it."""
    return cast(Callable[..., jax.Array], nn.with_logical_partitioning(init, logical))


def spec_of(*logical: str | None) -> PartitionSpec:
    """Partition spec of an array whose axes have these logical names (None: not split)."""
    return PartitionSpec(*(None if name is None else RULES[name] for name in logical))


def constrain(x: jax.Array, *logical: str | None) -> jax.Array:
    """Pin the layout of activations under the mesh set by `jax.set_mesh`; without one, `x` as it is.

    An axis that its mesh axes do not divide is left whole.
    """
    mesh = jax.sharding.get_abstract_mesh()
    return x if mesh.empty else jax.lax.with_sharding_constraint(x, fitting(mesh, x.shape, *logical))


def fitting(mesh: Mesh | AbstractMesh, shape: tuple[int, ...], *logical: str | None) -> PartitionSpec:
    """Partition spec of an array of this shape; an axis that its mesh axes do not divide is left whole."""
    spec = zip(spec_of(*logical), shape, strict=True)
    return PartitionSpec(*(axes if size % ways(mesh, axes) == 0 else None for axes, size in spec))


def ways(mesh: Mesh | AbstractMesh, axes: str | tuple[str, ...] | None) -> int:
    """Into how many pieces these mesh axes split an array's axis."""
    names = (axes,) if isinstance(axes, str) else axes or ()
    return math.prod(mesh.shape[name] for name in names)


def split_axes(mesh: Mesh | AbstractMesh, name: str | None) -> str | tuple[str, ...] | None:
    """The mesh axes of a logical axis that have more than one device."""
    axes = None if name is None else RULES[name]
    wide = tuple(a for a in ((axes,) if isinstance(axes, str) else axes or ()) if mesh.shape[a] > 1)
    return wide if len(wide) > 1 else wide[0] if wide else None


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding of an array whose first axis is the batch."""
    return NamedSharding(mesh, spec_of("batch"))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def batch_share(mesh: Mesh) -> tuple[int, int]:
    """(index, count): this process's devices hold the rows of part `index` of `count` equal parts of every batch.

    Processes that hold the same rows (a batch axis narrower than the number of processes) have the same index.
    """
    parts = ways(mesh, RULES["batch"])
    held = batch_sharding(mesh).addressable_devices_indices_map((parts,)).values()
    mine = sorted({index[0].indices(parts)[0] for index in held if index is not None})
    return mine[0] // len(mine), parts // len(mine)


def placed(tree: Any, sharding: NamedSharding) -> Any:
    """Host arrays, the same in every process, onto a mesh; each process copies what its own devices hold."""
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)
    return jax.tree.map(
        lambda x: jax.make_array_from_callback(np.shape(x), sharding, lambda index: np.asarray(x)[index]), tree
    )


def fetched(tree: Any) -> Any:
    """Whole NumPy arrays, in every process, of arrays on a mesh. All processes of the mesh call this together."""

    def whole(x: Any) -> Any:
        spread = isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated)
        return np.asarray(multihost_utils.process_allgather(x, tiled=True) if spread else x)

    return jax.tree.map(whole, tree)


def platform() -> str:
    """What the program is for: the devices of the mesh that `jax.set_mesh` set, which may not be here, or ours."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return jax.default_backend() if device is None or device.platform is None else device.platform


def parameter_shardings(boxed: Any, mesh: Mesh) -> Any:
    """Shardings for parameters as returned by `Module.init` (or its `eval_shape`), boxes and all, unboxed in shape.

    An axis that its mesh axis does not divide stays whole, and of two axes that name the same mesh axis the first is
    split: small models then run on any mesh.
    """

    def sharding(leaf: Any) -> NamedSharding:
        if not isinstance(leaf, nn.LogicallyPartitioned):
            return replicated(mesh)
        spec: list[Any] = []
        for name, size in zip(leaf.names, leaf.value.shape, strict=True):
            axis = split_axes(mesh, name)
            divides = size % ways(mesh, axis) == 0
            spec.append(axis if divides and axis not in spec else None)
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(sharding, boxed, is_leaf=lambda x: isinstance(x, nn.LogicallyPartitioned))


def state_shardings(abstract_state: Any, shardings: Any, mesh: Mesh) -> Any:
    """Shardings for a whole train state: a leaf is laid out like the parameter whose path ends its own path.

    Without explicit `out_shardings`, `jit(tx.init)` on an Auto mesh returns replicated moments.
    """
    by_path = {_names(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(shardings)}

    def match(path: Any, leaf: Any) -> NamedSharding:
        names = _names(path)
        for start in range(len(names)):
            found = by_path.get(names[start:])
            if found is not None and len(found.spec) <= len(leaf.shape):
                return found
        return replicated(mesh)

    return jax.tree_util.tree_map_with_path(match, abstract_state)


def _names(path: Any) -> tuple[str, ...]:
    return tuple(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def init_sharded(init: Callable[..., Any], mesh: Mesh, *args: Any) -> tuple[Any, Any]:
    """Run `init(*args)` -> boxed parameters with every shard made in place; (plain parameters, their shardings)."""
    shardings = parameter_shardings(jax.eval_shape(init, *args), mesh)
    params = jax.jit(lambda *a: nn.unbox(init(*a)), out_shardings=shardings)(*args)
    return params, shardings
