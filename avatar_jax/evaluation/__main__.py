"""Measure what the system does.

    python -m avatar_jax.evaluation embedded [--cases 16] [--seconds 4] [--out DIR] [--weights DIR] [--json]
        [--dotted.override=value]          passed on to sample.py, as in --segment.solver.guidance.audio=1.5

embedded: the embedded model on held-out synthetic characters and voices, with the reader's own ceiling beside every
reading. Needs the `pipeline` extra, which draws and speaks the cases. With --json the last line is one JSON object.
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import NoReturn

from avatar_jax.media import BadInput

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path("~/.cache/avatar_jax/jax").expanduser()))


class Parser(argparse.ArgumentParser):
    """Mistakes are told in three lines, like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput("wrong arguments", message, "see --help", "python -m avatar_jax.evaluation --help")


def main(arguments: list[str] | None = None) -> int:
    try:
        return run(arguments)
    except BadInput as mistake:
        print(mistake, file=sys.stderr)
        return 2


def run(arguments: list[str] | None) -> int:
    from avatar_jax.evaluation import embedded

    given = embedded.EmbeddedConfig()
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("embedded", help="the embedded model against ground truth")
    one.add_argument("--cases", type=int, default=given.cases)
    one.add_argument("--seconds", type=float, default=given.seconds)
    one.add_argument("--out", type=Path, default=given.out)
    one.add_argument("--weights", type=Path, default=given.weights)
    one.add_argument("--json", action="store_true", help="one JSON object on the last line")
    args, overrides = parser.parse_known_args(arguments)
    if args.cases < 1 or not 1 <= args.seconds <= 60:
        got = f"{args.cases} cases of {args.seconds:g} s"
        raise BadInput("size of the evaluation", got, "one case or more, of 1 to 60 seconds", "--cases 16 --seconds 4")
    for module in ("skia", "espeakng_loader"):
        if importlib.util.find_spec(module) is None:
            rule = "cases are drawn and spoken on the spot"
            raise BadInput("extra `pipeline`", f"{module} is not installed", rule, "make test, or install .[pipeline]")
    result = embedded.run(embedded.EmbeddedConfig(args.cases, args.seconds, args.out, args.weights, tuple(overrides)))
    if args.json:
        print(embedded.as_json(result))
    else:
        for name, value in result.items():
            print(f"{name:28} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
