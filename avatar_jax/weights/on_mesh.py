"""Parameters built in place over a mesh: stacked arrays are filled layer by layer, so no host holds the whole model."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from avatar_jax.mesh import parameter_shardings
from avatar_jax.weights.mapping import Place, Target, by_path, flat_shapes
from avatar_jax.weights.stream import dtype_of


class OnMesh:
    """A sink whose arrays are sharded as the model's logical axes say.

    Each host reads every tensor but keeps only the pieces of its own devices; a stacked array is allocated once and
    updated in place (its buffer is donated), one layer at a time.
    """

    def __init__(self, target: Target, mesh: Mesh, dtype: Any):
        self.shapes = flat_shapes(target.abstract)
        self.shardings: dict[str, NamedSharding] = by_path(parameter_shardings(target.abstract, mesh))
        self.dtypes = {path: dtype_of(path, target, dtype) for path in self.shapes}
        self.arrays: dict[str, jax.Array] = {}

    def has(self, place: Place) -> bool:
        return False

    def put(self, place: Place, numbers: np.ndarray) -> None:
        path, sharding = place.path, self.shardings[place.path]
        if place.layer is None:
            self.arrays[path] = spread(numbers, sharding)
            return
        if path not in self.arrays:
            self.arrays[path] = empty(self.shapes[path], self.dtypes[path], sharding)()
        layer = spread(numbers, layer_sharding(sharding))
        self.arrays[path] = replace_layer(sharding)(self.arrays[path], layer, place.layer)
        # Without this the queue of transfers would hold many tensors on the host.
        self.arrays[path].block_until_ready()

    def params(self) -> dict[str, Any]:
        return unflatten_dict(self.arrays, sep="/")


def spread(numbers: np.ndarray, sharding: NamedSharding) -> jax.Array:
    return jax.make_array_from_callback(numbers.shape, sharding, lambda index: numbers[index])


def layer_sharding(sharding: NamedSharding) -> NamedSharding:
    return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[1:]))


@cache
def empty(shape: tuple[int, ...], dtype: np.dtype, sharding: NamedSharding) -> Any:
    return jax.jit(partial(jnp.zeros, shape, dtype), out_shardings=sharding)


@cache
def replace_layer(sharding: NamedSharding) -> Any:
    """(stacked, layer, index) -> stacked with that layer, in the same buffer."""
    return jax.jit(
        lambda stacked, layer, n: jax.lax.dynamic_update_index_in_dim(stacked, layer, n, 0),
        donate_argnums=0,
        out_shardings=sharding,
    )
