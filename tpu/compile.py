"""Compile a config's programs for a TPU slice, on any machine, and say what they would cost there.

    python -m tpu.compile --config configs/wan_t2v_1_3b.py --topology v6e:2x4 --what denoise
        [--mesh data=2,seq=4] [--height H] [--width W] [--frames F] [--batch ROWS] [--shots S] [--sweep]
        [--seconds 60] [--slices 1] [--no-decoder] [--storyline] [--deaf] [--depth LAYERS] [--keep DIR]
        [--recipe RECIPE] [--dotted.override=value]

The last line on stdout is one JSON object (docs/tpu.md says what its figures mean); progress is on stderr. Overrides
name values of the config's `sample`, or of the training recipe (--video.remat=full). Exit status: 0; 1 if the program
does not fit the chips; 2 for bad input.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from avatar_jax import config as configs
from avatar_jax.media.errors import BadInput
from tpu.bundles import KernelError
from tpu.topology import environment, parse_topology

WHAT = ("denoise", "train", "vae", "text")


class Parser(argparse.ArgumentParser):
    """Mistakes are told in three lines, like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput("wrong arguments", message, "see the usage", "python -m tpu.compile --help")


def parser() -> Parser:
    p = Parser(
        prog="python -m tpu.compile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("--config", type=Path, required=True, help="a file of configs/ for a public family")
    p.add_argument("--topology", required=True, help="for example v6e:2x4")
    p.add_argument("--what", choices=WHAT, default="denoise")
    p.add_argument("--mesh", help="for example data=2,seq=4; default: by weights, guidance and heads")
    p.add_argument("--height", type=int, help="pixels; default: the config's area, 16 by 9")
    p.add_argument("--width", type=int)
    p.add_argument("--frames", type=int, help="of a window; default: the config's")
    p.add_argument("--batch", type=int, help="rows of the model's batch, guidance included; default: the fewest")
    p.add_argument("--shots", type=int, default=1, help="prompts of each window")
    p.add_argument("--sweep", action="store_true", help="compare meshes and say which to take")
    p.add_argument("--seconds", type=float, default=60.0, help="length of the video of static_s_per_video")
    p.add_argument("--slices", type=int, default=1, help="slices that share that video's segments")
    p.add_argument("--no-decoder", action="store_true", help="leave the decoder out of a video's seconds")
    p.add_argument(
        "--storyline",
        nargs="?",
        choices=("shared", "own"),
        const="shared",
        help="add the trained attention to the prompts of all shots, with the text attention's queries or its own",
    )
    p.add_argument("--deaf", action="store_true", help="leave out all that hears, to see what it costs")
    p.add_argument("--depth", type=int, help="layers, for a quick look")
    p.add_argument("--recipe", type=Path, help="of train: a file such as configs/train_full.py; default: by the family")
    p.add_argument("--keep", type=Path, help="folder for the program's text and the kernels' schedules")
    return p


def main(arguments: list[str] | None = None) -> int:
    try:
        record = run(arguments)
    except (BadInput, configs.ConfigError) as mistake:
        print(mistake, file=sys.stderr)
        return 2
    except KernelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    if record["error"]:
        print(f"the compiler gave up: {record['error']}", file=sys.stderr)
    print(json.dumps(record))
    return 0 if record["fits"] else 1


def run(arguments: list[str] | None) -> dict[str, Any]:
    """The record of a command line.

    Raises:
        BadInput, ConfigError: a mistake of the user's.
    """
    p = parser()
    args, rest = p.parse_known_args(arguments)
    slice_ = parse_topology(args.topology)
    for name in ("batch", "shots", "slices", "depth", "seconds"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise BadInput(f"--{name}", value, "it is above zero", f"--{name} 1")
    environment(slice_)
    # Only now: JAX reads the environment when it is imported.
    from tpu.request import answer, public_config
    from tpu.training import recipe_of

    options = list(p._option_string_actions)
    of_recipe = [argument for argument in rest if argument.startswith(("--video.", "--loop."))]
    config = public_config(args.config, [argument for argument in rest if argument not in of_recipe], options)
    trains = args.what == "train"
    if not trains and (args.recipe or of_recipe):
        given = args.recipe or of_recipe[0]
        raise BadInput("a training recipe", given, "it is for training steps", "--what train, or leave it out")
    recipe = recipe_of(args.recipe, config, of_recipe, options) if trains else None
    return answer(args, config, slice_, recipe)


if __name__ == "__main__":
    sys.exit(main())
