"""Measure what the system does.

    python -m avatar_jax.evaluation embedded [--cases 16] [--seconds 4] [--flite 4] [--by language ...] [--json]
        [--camera static] [--sheets] [--out DIR] [--weights DIR] [--judge FILE]
        [--dotted.override=value]          passed on to sample.py, as in --student=false --segment.solver.steps=8
    python -m avatar_jax.evaluation joins [--cases 12] [--seconds 4] [--fresh] [--json] [--out DIR] [--weights DIR]
    python -m avatar_jax.evaluation obedience [--cases 12] [--seconds 6] [--json] [--out DIR] [--weights DIR]
    python -m avatar_jax.evaluation gate [--cases 20] [--seconds 10] [--calibrate] [--json] [--out DIR] [--weights DIR]
    python -m avatar_jax.evaluation gallery [--out docs/gallery] [--work DIR] [--only NAME ...]
    python -m avatar_jax.evaluation pictures [--cases 16] [--json] [--weights DIR]
    python -m avatar_jax.evaluation run --videos A [--against B ...] [--set SET] [--out OUT] [--by TAG ...] [--json]
    python -m avatar_jax.evaluation gsb A B [--set SET] [--out DIR] [--host --port --token] | gsb --report DIR
    python -m avatar_jax.evaluation benchmark compose|check|edition|systems|rank|drift|all ...

embedded: the embedded model on held-out synthetic characters and voices, with the reader's own ceiling beside every
reading. Needs the `pipeline` extra, which draws and speaks the cases; where flite is installed, cases with a voice of
a family of its own are added. With --json the last line is one JSON object.
joins: the ways to join sub-clips and to insert frames, on the same cases; goes on where it was stopped.
obedience: does the video follow its storyline in time? Hit@Segment with the storyline, without the trained storyline
attention, and with one global prompt.
gate: planted faults that the cascade's gate catches, and good sub-clips that it lets pass; 1 where that is too few.
gallery: the README's avatars, as strips of frames, and contact sheets of whole videos to look at.
pictures: what the drawing of frames gains, without a generator: hidden backgrounds, skin behind features, sharpness.
run: scores folders of videos, any system's, with or without a set; see run --help.
gsb: a page on which people judge two systems' videos blind, side by side, and the report of what they said.
benchmark: the 375-case set, what is compared on it, and whether the metrics rank them; see benchmark --help.
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import NoReturn

from avatar_jax.evaluation.benchmark import command as benchmark
from avatar_jax.evaluation.gsb import command as gsb
from avatar_jax.evaluation.scoring import command as scoring
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
    sized(one, cases=16, out="out/evaluation")
    one.add_argument("--flite", type=int, default=4, help="cases more with a voice of another family, if installed")
    one.add_argument("--camera", choices=("any", "static"), default="any", help="static: no shot moves the camera")
    one.add_argument("--sheets", action="store_true", help="a contact sheet of every case, true frames above")
    one.add_argument("--by", action="append", choices=GROUPS, default=[], help="a table by this; may be repeated")
    one.set_defaults(go=embedded)
    two = what.add_parser("joins", help="ways to join sub-clips and to insert frames")
    sized(two, cases=12, out="out/joins")
    two.add_argument("--fresh", action="store_true", help="make anew what is there")
    two.set_defaults(go=joins, flite=0)
    obey = what.add_parser("obedience", help="storyline against one global prompt")
    sized(obey, cases=12, out="out/obedience", seconds=6.0)
    obey.set_defaults(go=obedience, flite=0)
    gate = what.add_parser("gate", help="planted faults against the cascade's gate")
    sized(gate, cases=20, out="out/gate", seconds=10.0)
    gate.add_argument("--calibrate", action="store_true", help="on the characters that the limits were chosen on")
    gate.set_defaults(go=gatecheck, flite=0)
    three = what.add_parser("gallery", help="the README's avatars, and contact sheets of whole videos")
    three.add_argument("--out", type=Path, default=Path("docs/gallery"), help="folder of the strips")
    three.add_argument("--work", type=Path, default=Path("out/gallery"), help="folder of videos and contact sheets")
    three.add_argument("--only", action="append", default=[], metavar="NAME", help="these alone; may be repeated")
    three.add_argument("--weights", type=Path, default=ship.SHIPPED, help="folder of exported networks")
    three.set_defaults(go=gallery)
    four = what.add_parser("pictures", help="hidden backgrounds, skin and sharpness against the drawn truth")
    four.add_argument("--cases", type=int, default=16, help="held-out characters")
    four.add_argument("--weights", type=Path, default=ship.SHIPPED, help="folder of exported networks")
    four.add_argument("--json", action="store_true", help="one JSON object on the last line")
    four.set_defaults(go=pictures, flite=0, seconds=1.0)
    benchmark.add(what)
    scoring.add(what)
    gsb.add(what)
    args, overrides = parser.parse_known_args(arguments)
    if getattr(args, "needs_pipeline", True):
        needs_pipeline()
    return args.go(args, tuple(overrides))


def sized(parser: argparse.ArgumentParser, cases: int, out: str, seconds: float = 4.0) -> None:
    """Options of every comparison with ground truth."""
    parser.add_argument("--cases", type=int, default=cases)
    parser.add_argument("--seconds", type=float, default=seconds, help="length of each case")
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--weights", type=Path, default=ship.SHIPPED, help="folder of exported networks")
    parser.add_argument("--judge", type=Path, help="file of the judge, if not in that folder")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")


def check_size(args: argparse.Namespace) -> None:
    if args.cases < 1 or args.flite < 0 or not 1 <= args.seconds <= 60:
        got = f"{args.cases} + {args.flite} cases of {args.seconds:g} s"
        raise BadInput("size of the evaluation", got, "one case or more, of 1 to 60 seconds", "--cases 16 --seconds 4")


def needs_pipeline() -> None:
    for module in ("skia", "espeakng_loader"):
        if importlib.util.find_spec(module) is None:
            rule = "cases are drawn and spoken on the spot"
            raise BadInput("extra `pipeline`", f"{module} is not installed", rule, "make test, or install .[pipeline]")


def embedded(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_size(args)
    from avatar_jax.evaluation import embedded, summary

    result = embedded.run(
        embedded.EmbeddedConfig(
            cases=args.cases,
            seconds=args.seconds,
            flite=args.flite,
            still=args.camera == "static",
            sheets=args.sheets,
            out=args.out,
            weights=args.weights,
            judge=args.judge,
            overrides=overrides,
            by=tuple(args.by),
        )
    )
    print(summary.as_json(result) if args.json else summary.as_text(result))
    return 0


def joins(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_size(args)
    from avatar_jax.evaluation import joins, summary

    config = joins.JoinsConfig(args.cases, args.seconds, args.out, args.weights, args.judge, overrides, args.fresh)
    result = joins.run(config)
    print(joins.as_text(result))
    if args.json:
        print(summary.as_json(result))
    return 0


def obedience(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_size(args)
    from avatar_jax.evaluation import obedience, summary

    config = obedience.ObedienceConfig(args.cases, args.seconds, args.out, args.weights, args.judge, overrides)
    result = obedience.run(config)
    print(obedience.as_text(result))
    if args.json:
        print(summary.as_json(result))
    return 0


def gatecheck(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_size(args)
    from avatar_jax.evaluation import gatecheck, summary

    config = gatecheck.GateCheckConfig(args.cases, args.seconds, args.out, args.weights, overrides, args.calibrate)
    result = gatecheck.run(config)
    print(gatecheck.as_text(result))
    if args.json:
        print(summary.as_json(result))
    return 0 if gatecheck.holds(result) else 1


def pictures(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_size(args)
    if overrides:
        raise BadInput("unknown argument", overrides[0], "nothing is sampled here", "leave it out")
    from avatar_jax.evaluation import pictures, summary

    result = pictures.run(pictures.PicturesConfig(args.cases, args.weights))
    print(summary.as_json(result) if args.json else pictures.as_text(result))
    return 0


def gallery(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    from avatar_jax.evaluation import gallery

    gallery.run(gallery.GalleryConfig(args.out, args.work, args.weights, tuple(args.only), overrides))
    return 0


if __name__ == "__main__":
    sys.exit(main())
