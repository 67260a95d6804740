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
    "embed": "fsdp",
    "heads": "tensor",
    "mlp": "tensor",
    "small": None,
}
"""Logical axis -> mesh axis (or axes). `small` marks widths that are never worth splitting."""


def parse_mesh(spec: str) -> dict[str, int]:
    """`"data=4,seq=2"` -> {"data": 4, "fsdp": 1, "seq": 2, "tensor": 1}; the empty string is one device.

    Raises:
        ValueError: on an unknown axis, a repeated axis or a size below one.
    """
    sizes: dict[str, int] = {}
    for part in filter(None, (p.strip() for p in spec.split(","))):
        name, _, size = part.partition("=")
        if name not in AXES or name in sizes or not size.isdigit() or int(size) < 1:
            raise ValueError(
                f"Mesh: got {part!r} in {spec!r}.\n"
                f"Rule: axis=size with an axis of {', '.join(AXES)}, each at most once, and a size of 1 or more.\n"
                "Fix: for example --mesh data=4,seq=2."
            )
        sizes[name] = int(size)
    return {axis: sizes.get(axis, 1) for axis in AXES}


def set_host_devices(spec: str) -> None:
    """Give the CPU backend as many devices as `spec` asks for. Call before JAX touches a device."""
    count = math.prod(parse_mesh(spec).values())
    flags = os.environ.get("XLA_FLAGS", "")
    if count > 1 and "xla_force_host_platform_device_count" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={count}".strip()


def make_mesh(spec: str = "", devices: list[jax.Device] | None = None) -> Mesh:
    """Mesh over the first devices, with all four axes (size 1 where `spec` is silent) and Auto axis types.

    Raises:
        ValueError: if fewer devices exist than `spec` asks for.
    """
    shape = tuple(parse_mesh(spec).values())
    have = devices if devices is not None else jax.devices()
    need = math.prod(shape)
    if need > len(have):
        raise ValueError(
            f"Mesh: {spec!r} asks for {need} devices, got {len(have)}.\n"
            "Rule: the sizes of a mesh multiply to at most the number of devices.\n"
            "Fix: use smaller sizes, or more devices."
        )
    return Mesh(np.asarray(have[:need]).reshape(shape), AXES, axis_types=(AxisType.Auto,) * len(AXES))


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
    if mesh.empty:
        return x
    fits = [
        axes if size % ways(mesh, axes) == 0 else None for axes, size in zip(spec_of(*logical), x.shape, strict=True)
    ]
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*fits))


def ways(mesh: Mesh | AbstractMesh, axes: str | tuple[str, ...] | None) -> int:
    """Into how many pieces these mesh axes split an array's axis."""
    names = (axes,) if isinstance(axes, str) else axes or ()
    return math.prod(mesh.shape[name] for name in names)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding of an array whose first axis is the batch."""
    return NamedSharding(mesh, spec_of("batch"))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


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
            axis = None if name is None else RULES[name]
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
