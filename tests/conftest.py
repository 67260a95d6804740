"""Every test runs on 8 fake host devices, shares one compilation cache and may build grain pipelines."""

import os
from pathlib import Path

# The second flag is avatar_jax.mesh.ORDERED, which cannot be imported before this is set.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8 --xla_cpu_enable_concurrency_optimized_scheduler=false"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path("~/.cache/avatar_jax/jax").expanduser()))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

from absl import flags

# grain reads absl flags, which only `absl.app.run` parses.
flags.FLAGS.mark_as_parsed()
