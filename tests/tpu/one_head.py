"""Cycles of the attention of one head on one chip, forward and backward: `python -m tests.tpu.one_head v5p:2x2x1 2`."""

import sys
import tempfile
from pathlib import Path

from tpu.topology import devices_of, environment, parse_topology


def main(topology: str, cores: int, tokens: int = 4096) -> None:
    with tempfile.TemporaryDirectory() as folder:
        slice_ = parse_topology(topology)
        environment(slice_)
        import jax
        import jax.numpy as jnp

        from avatar_jax.nn import flash, flash_back
        from avatar_jax.nn.blockwise import Seen
        from tpu.alone import kernels_of, schedules
        from tpu.hlo import parse
        from tpu.kernels import Kernels

        def both(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
            y, lse = flash.forward(q, k, v, 1, Seen(tokens), queries=2048, keys=2048, cores=cores)
            return flash_back.backward(q, k, v, 1, Seen(tokens), y, lse, y, lse, cores=cores)

        one = jax.sharding.SingleDeviceSharding(devices_of(slice_)[0])
        x = jax.ShapeDtypeStruct((1, tokens, 128), jnp.bfloat16, sharding=one)
        program = parse(jax.jit(both).lower(x, x, x).compile().as_text())
        kernels = Kernels(program, schedules(program, slice_, Path(folder)), slice_.chip)
        for found in kernels_of(program):
            print(found.name.split(".")[0], kernels(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
