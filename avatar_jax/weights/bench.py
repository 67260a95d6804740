"""How fast public weights are converted and loaded, and in how much memory: one JSON object on the last line.

    python -m avatar_jax.weights.bench --gigabytes 4 [--folder DIR]

A random checkpoint with the layer sizes of a 19B talking model (fewer layers) is written, converted and loaded, each
in a process of its own with none of the files in the page cache; a plain copy of the same files is the yardstick.
All files are deleted afterwards. Linux only.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from avatar_jax.mesh import make_mesh
from avatar_jax.weights.families import FAMILIES, dit_target, sized
from avatar_jax.weights.load import Request, convert, load
from avatar_jax.weights.mapping import Shape

FAMILY = "skyreels_a2v_19b"
BLOCK = 1 << 24


def config_of(depth: int) -> dict[str, Any]:
    """The 19B model's own sizes, with fewer layers."""
    return {"dim": 5120, "num_heads": 40, "ffn_dim": 13824, "num_layers": depth, "model_type": "i2v"}


def shapes_of(depth: int) -> dict[str, Shape]:
    return dit_target(sized(FAMILIES[FAMILY], config_of(depth))).mappings[0].public_shapes()


def generate(folder: Path, gigabytes: float) -> None:
    """bfloat16 shards of about 1 GB with an index, as released, of at least so many bytes."""
    one, two = (2 * sum(map(math.prod, shapes_of(depth).values())) for depth in (1, 2))
    depth = max(1, math.ceil((gigabytes * 1e9 - one) / (two - one)) + 1)
    shards: list[dict[str, Shape]] = [{}]
    for name, shape in shapes_of(depth).items():
        if 2 * sum(map(math.prod, shards[-1].values())) > 1e9:
            shards.append({})
        shards[-1][name] = shape
    noise = np.random.default_rng(0).integers(0, 1 << 16, BLOCK // 2, np.uint16)
    # Any sign and mantissa, exponents of one half: no NaN, no zero.
    numbers = ((noise & 0x807F) | 0x3F00).tobytes()
    owners = {}
    for i, shard in enumerate(tqdm(shards, desc="random shards")):
        path = folder / f"diffusion_pytorch_model-{i + 1:05}-of-{len(shards):05}.safetensors"
        header, end = {}, 0
        for name, shape in shard.items():
            start, end = end, end + 2 * math.prod(shape)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
            owners[name] = path.name
        text = json.dumps(header).encode()
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for start in range(0, end, len(numbers)):
                file.write(numbers[: min(len(numbers), end - start)])
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": owners}))
    (folder / "config.json").write_text(json.dumps(config_of(depth)))


def forget(folder: Path) -> None:
    """Write a folder's files to the disk and take them out of the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_rss() -> int:
    """Most memory that this process has held, in bytes; unlike getrusage, without its parent's."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def timed(work: Callable[[], object]) -> dict[str, float]:
    start = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - start, "peak_rss": peak_rss()}


def copied(source: Path, out: Path) -> None:
    """The files of a folder, read and written in blocks."""
    out.mkdir()
    for path in sorted(source.iterdir()):
        with path.open("rb") as file, (out / path.name).open("wb") as other:
            shutil.copyfileobj(file, other, BLOCK)
            other.flush()
            os.fsync(other.fileno())


def worker(what: str, source: Path, out: Path) -> None:
    """One measurement in this process, printed as JSON."""
    jax.config.update("jax_platforms", "cpu")
    mesh = make_mesh()

    def converted() -> None:
        convert(Request(FAMILY, str(source)), out, mesh, jnp.bfloat16)
        forget(out)

    def loaded() -> None:
        jax.block_until_ready(load(Request(FAMILY, str(source)), mesh, jnp.bfloat16).params)

    work = {"copy": lambda: copied(source, out), "convert": converted, "load": loaded, "restore": loaded}
    print(json.dumps(timed(work[what])))


def measure(what: str, source: Path, out: Path) -> dict[str, float]:
    """A worker's figures; the source is read from the disk."""
    forget(source)
    command = [sys.executable, "-m", "avatar_jax.weights.bench", "--worker", what, str(source), str(out)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def bench(folder: Path, gigabytes: float) -> dict[str, Any]:
    """All figures; sizes in GB of 10^9 bytes, memory in MB."""
    source = folder / "public"
    source.mkdir()
    generate(source, gigabytes)
    size = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    depth = json.loads((source / "config.json").read_text())["num_layers"]
    largest = 2 * max(map(math.prod, shapes_of(depth).values()))
    figures: dict[str, Any] = {"gigabytes": round(size / 1e9, 2), "largest_tensor_mb": round(largest / 1e6)}
    figures["limit_mb"] = round((2 * largest + 1e9) / 1e6)
    steps = (
        ("copy", source, "copy"),
        ("convert", source, "out"),
        ("load", source, ""),
        ("restore", folder / "out", ""),
    )
    for what, read, written in steps:
        found = measure(what, read, folder / (written or "none"))
        figures[f"{what}_gb_s"] = round(size / 1e9 / found["seconds"], 2)
        # What a loaded model itself takes is no overhead of loading it.
        kept = 0 if written else size
        figures[f"{what}_peak_rss_mb"] = round((found["peak_rss"] - kept) / 1e6)
        shutil.rmtree(folder / "copy", ignore_errors=True)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m avatar_jax.weights.bench")
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, help="where the files go meanwhile; default: the system's place")
    parser.add_argument("--worker", nargs=3, metavar=("WHAT", "SOURCE", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker[0], *map(Path, options.worker[1:]))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print(json.dumps(bench(Path(folder), options.gigabytes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
