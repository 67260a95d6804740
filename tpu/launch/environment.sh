# Environment of every process on a TPU host. Use: source tpu/launch/environment.sh
# Flags stay out unless there is a reason for each; `python -m tpu.compile` shows what a flag changes.

# Compiled programs outlive the machine: after a preemption the next start loads them instead of compiling for minutes.
# A folder in the run's bucket (mounted, or gs://...) serves all hosts; only process 0 of a group writes.
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-${WORKDIR:-$HOME}/jax-cache}"

# Fail at once where the chips are not visible, instead of falling back to the CPU in silence.
export JAX_PLATFORMS="${JAX_PLATFORMS:-tpu,cpu}"

# Lines of the log come when they are written: a killed machine takes nothing unseen with it.
export PYTHONUNBUFFERED=1

# One malloc arena: decoding and encoding threads otherwise keep gigabytes of host memory in arenas of their own.
export MALLOC_ARENA_MAX=1

LIBTPU=""
# Large attention kernels (v5p) and large products at full speed (v6e) need more than the default share of on-chip memory.
# As in tpu/topology.py: the estimates of docs/tpu.md hold with it. The decoder asks for less itself (compilation.Program).
case "${TPU_ACCELERATOR_TYPE:-}" in
  v5p* | v6e*) LIBTPU="$LIBTPU --xla_tpu_scoped_vmem_limit_kib=65536" ;;
esac
# Without these every exchange of heads and every gather of weights is one instruction, which nothing hides: heads travel
# in two halves, gathers are spread over the products and kernels before the one that needs them. As in tpu/topology.py.
case "${TPU_ACCELERATOR_TYPE:-}" in
  v5p* | v6e*)
    LIBTPU="$LIBTPU --xla_tpu_enable_async_all_to_all=true --xla_tpu_force_async_all_to_all=true"
    LIBTPU="$LIBTPU --xla_enable_async_all_gather=true --xla_tpu_enable_async_collective_fusion=true"
    LIBTPU="$LIBTPU --xla_tpu_enable_async_collective_fusion_fuse_all_gather=true"
    LIBTPU="$LIBTPU --xla_tpu_overlap_compute_collective_tc=true"
    ;;
esac
export LIBTPU_INIT_ARGS="${LIBTPU_INIT_ARGS:-}$LIBTPU"
