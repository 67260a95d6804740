"""Measure what the system does.

    python -m avatar_jax.evaluation embedded [--cases 16] [--seconds 4] [--flite 4] [--by language ...] [--json]
        [--out DIR] [--weights DIR] [--judge FILE]
        [--dotted.override=value]          passed on to sample.py, as in --segment.solver.guidance.audio=1.5

embedded: the embedded model on held-out synthetic characters and voices, with the reader's own ceiling beside every
reading. Needs the `pipeline` extra, which draws and speaks the cases; where flite is installed, cases with a voice of
a family of its own are added. With --json the last line is one JSON object.
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import NoReturn

from avatar_jax.media import BadInput
from avatar_jax.weights import ship

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path("~/.cache/avatar_jax/jax").expanduser()))


GROUPS = ("language", "emotion", "style", "kind", "voice")
"""What tables can be made by."""


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
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("embedded", help="the embedded model against ground truth")
    one.add_argument("--cases", type=int, default=16)
    one.add_argument("--seconds", type=float, default=4.0, help="length of each case")
    one.add_argument("--flite", type=int, default=4, help="cases more with a voice of another family, if installed")
    one.add_argument("--by", action="append", choices=GROUPS, default=[], help="a table by this; may be repeated")
    one.add_argument("--out", type=Path, default=Path("out/evaluation"))
    one.add_argument("--weights", type=Path, default=ship.SHIPPED, help="folder of exported networks")
    one.add_argument("--judge", type=Path, help="file of the judge, if not in that folder")
    one.add_argument("--json", action="store_true", help="one JSON object on the last line")
    args, overrides = parser.parse_known_args(arguments)
    if args.cases < 1 or args.flite < 0 or not 1 <= args.seconds <= 60:
        got = f"{args.cases} + {args.flite} cases of {args.seconds:g} s"
        raise BadInput("size of the evaluation", got, "one case or more, of 1 to 60 seconds", "--cases 16 --seconds 4")
    for module in ("skia", "espeakng_loader"):
        if importlib.util.find_spec(module) is None:
            rule = "cases are drawn and spoken on the spot"
            raise BadInput("extra `pipeline`", f"{module} is not installed", rule, "make test, or install .[pipeline]")
    from avatar_jax.evaluation import embedded, summary

    result = embedded.run(
        embedded.EmbeddedConfig(
            cases=args.cases,
            seconds=args.seconds,
            flite=args.flite,
            out=args.out,
            weights=args.weights,
            judge=args.judge,
            overrides=tuple(overrides),
            by=tuple(args.by),
        )
    )
    print(summary.as_json(result) if args.json else summary.as_text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
