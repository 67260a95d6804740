"""Convert public weights: safetensors in either key layout -> one checked folder that every mesh can open.

    python -m avatar_jax.weights --source DIR_OR_HUB_ID [--overlay DIR ...] [--lora FILE[:scale] ...]
                                 --family NAME --out DIR [--mesh fsdp=8] [--dtype bf16|fp32]

Exit status 2 and one message on bad input; where keys do not fit, the table of all of them comes first.
"""

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from tqdm import tqdm

from avatar_jax.mesh import make_mesh, set_host_devices
from avatar_jax.weights.catalog import MODULES
from avatar_jax.weights.families import FAMILIES
from avatar_jax.weights.load import Request, convert
from avatar_jax.weights.problems import KeyMismatch
from avatar_jax.weights.stream import Progress

DTYPES = {"bf16": jnp.bfloat16, "fp32": jnp.float32}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m avatar_jax.weights", description=str(__doc__).splitlines()[0])
    parser.add_argument("--source", required=True, help="folder, safetensors file, or owner/name[@revision] on the hub")
    parser.add_argument("--overlay", action="append", default=[], help="laid over the source; later ones win")
    parser.add_argument("--lora", action="append", default=[], help="FILE[:scale]; high=FILE, low=FILE for one expert")
    parser.add_argument("--family", required=True, help=", ".join([*FAMILIES, *MODULES]))
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--mesh", default="", help="pieces on disk fit this mesh; any other can read them too")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16", help="of matrices; vectors and tables stay float32")
    return parser


def bar(total: int) -> Progress:
    shown = tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1000, desc="weights")

    def progress(count: int) -> None:
        shown.update(count)
        if shown.n >= total:
            shown.close()

    return progress


def main() -> int:
    options = parser().parse_args()
    try:
        # Numbers only pass through: an accelerator would be taken for nothing.
        jax.config.update("jax_platforms", "cpu")
        set_host_devices(options.mesh)
        request = Request(options.family, options.source, tuple(options.overlay), tuple(options.lora))
        notes = convert(request, options.out, make_mesh(options.mesh), DTYPES[options.dtype], bar)
    except KeyMismatch as error:
        print(error.table, error, sep="\n", file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130
    except OSError as error:
        print(
            f"cannot write {options.out}: {error.strerror or error}\n"
            "rule: the folder above --out can be written and has room\nfix: free some space or choose another --out",
            file=sys.stderr,
        )
        return 2
    for note in notes:
        print(note)
    print(f"{options.out}: {options.family}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
