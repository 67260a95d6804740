"""`python -m avatar_jax.evaluation benchmark ...`: the set, the systems on it, and whether the metrics rank them.

    benchmark compose FOLDER --out SET [--cases 375]    a frozen set from licensed portraits, recordings and prompts
    benchmark check SET                                 are its files those that were frozen? and its quotas
    benchmark edition --out SET [--cases 375] [--seconds S] [--camera static] [--workers N]    the embedded edition
    benchmark systems --set SET --out DIR [--only truth,ours,still,shuffled,shifted,one_pass,chained] [--workers N]
    benchmark rank --set SET --systems DIR --out OUT [--workers N] [--json]
    benchmark drift --out OUT [--seconds 120] [--cases 4] [--json]
    benchmark all --out DIR [--seconds 10] [--cases 375] [--json]        edition, ours and scores in one go

All of them go on where they were stopped. Exit status: 0; 1 where a check or a claim fails; 2 for bad input.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from avatar_jax.evaluation.benchmark import composition
from avatar_jax.evaluation.benchmark.manifest import SetCase, faults_of, read_set
from avatar_jax.media import BadInput

FAULTS_SHOWN = 20
BY = ("language", "voice", "emotion")
"""Tags by which reports make tables and bars."""


def add(subparsers: Any) -> None:
    """Register the command; `args.go(args, overrides)` runs what was asked for."""
    parser = subparsers.add_parser(
        "benchmark",
        help="the 375-case benchmark: its set, systems on it, their ranking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", required=True)

    def part(name: str, text: str, go: Callable[..., int], pipeline: bool = False) -> argparse.ArgumentParser:
        one = parts.add_parser(name, help=text)
        one.set_defaults(go=go, needs_pipeline=pipeline)
        return one

    one = part("compose", "a frozen set from licensed material", compose)
    one.add_argument("folder", type=Path, help="with portraits.jsonl, recordings.jsonl, prompts.jsonl")
    one.add_argument("--out", type=Path, required=True, help="the new set")
    one.add_argument("--cases", type=int, default=composition.CASES)

    one = part("check", "are the files of a set those that were frozen?", check)
    one.add_argument("set", type=Path)

    one = part("edition", "the embedded edition of drawn avatars", edition, pipeline=True)
    one.add_argument("--out", type=Path, required=True, help="the new set")
    one.add_argument("--cases", type=int, default=composition.CASES)
    one.add_argument("--seconds", type=float, help="length of every case; default: 8 s to 2 min")
    one.add_argument("--camera", choices=("any", "static"), default="any", help="static: no shot moves the camera")
    workers(one)

    one = part("systems", "videos of the system under test and of what it is compared with", systems, pipeline=True)
    one.add_argument("--set", type=Path, required=True)
    one.add_argument("--out", type=Path, required=True, help="folder of the systems' folders")
    one.add_argument("--only", default="", help="names with commas between them; default: all")
    one.add_argument("--cases", type=int, help="the first so many cases of the set")
    one.add_argument("--weights", type=Path, help="folder of exported networks; default: the shipped ones")
    workers(one)

    one = part("rank", "score systems and check how they rank", rank)
    one.add_argument("--set", type=Path, required=True)
    one.add_argument("--systems", type=Path, required=True, help="folder of the systems' folders")
    one.add_argument("--out", type=Path, required=True, help="scores, plots and the report")
    workers(one)
    told(one)

    one = part("drift", "the slope of ours over long videos against the truth's", drift, pipeline=True)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--seconds", type=float, default=120.0)
    one.add_argument("--cases", type=int, default=4)
    one.add_argument("--weights", type=Path, help="folder of exported networks; default: the shipped ones")
    workers(one)
    told(one)

    one = part("all", "edition, ours and scores in one go", everything, pipeline=True)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--seconds", type=float, help="length of every case; default: 8 s to 2 min")
    one.add_argument("--cases", type=int, default=composition.CASES)
    one.add_argument("--weights", type=Path, help="folder of exported networks; default: the shipped ones")
    workers(one)
    told(one)


def workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes at once")


def told(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")


def compose(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_plain(args, overrides)
    from avatar_jax.evaluation.benchmark.compose import compose as composed

    made = composed(args.folder, args.out, args.cases)
    for what, why in made.refused:
        print(f"refused: {what}: {why}")
    print(composition.as_text(composition.held(composition.COMPOSITION, [case.tags for case in made.cases])))
    print(f"{args.out}: {len(made.cases)} cases frozen, {len(made.refused)} items refused")
    return 0


def check(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_plain(args, overrides)
    cases = read_set(args.set)
    faults = [(case, fault) for case, fault in faults_of(args.set, cases) if fault]
    for case, fault in faults[:FAULTS_SHOWN]:
        print(f"{case}: {fault}")
    if len(faults) > FAULTS_SHOWN:
        print(f"and {len(faults) - FAULTS_SHOWN} more")
    quotas = composition.EMBEDDED if all(case.truth for case in cases) else composition.COMPOSITION
    print(composition.as_text(composition.held(quotas, [case.tags for case in cases])))
    print(f"{args.set}: {len(cases)} cases, {len(faults)} of them changed, missing or unlicensed")
    return 1 if faults else 0


def edition(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_plain(args, overrides)
    began = time.monotonic()
    cases = built(args.out, args.cases, args.seconds, args.camera == "static", args.workers)
    if len(cases) == composition.CASES:
        print(composition.as_text(composition.held(composition.EMBEDDED, [case.tags for case in cases])))
    length = sum(case.seconds for case in cases)
    print(f"{args.out}: {len(cases)} cases, {length:.0f} s of video, made in {time.monotonic() - began:.0f} s")
    return 0


def systems(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_plain(args)
    began = time.monotonic()
    failed = made_systems(args, overrides, args.set, args.out, read_set(args.set)[: args.cases], args.only)
    print(f"{args.out}: made in {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def rank(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_plain(args, overrides)
    from avatar_jax.evaluation.benchmark import ranking

    cases, scores = read_set(args.set), scored(args.set, args.systems, args.out, args.workers)
    found = ranking.verdicts(scores, {case.case: case.seconds for case in cases})
    print(ranking.table(scores))
    print()
    print(ranking.as_text(found))
    if args.json:
        print(as_json({"checks": [vars(one) for one in found]}))
    return 1 if any(one.passed is False for one in found) else 0


def drift(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_plain(args)
    from avatar_jax.evaluation.benchmark import drifting

    cases = built(args.out / "set", args.cases, args.seconds, True, args.workers)
    failed = made_systems(args, overrides, args.out / "set", args.out / "systems", cases, "truth,ours")
    found = drifting.slopes(scored(args.out / "set", args.out / "systems", args.out / "scores", args.workers))
    print(drifting.as_text(found))
    if args.json:
        print(as_json({"slopes": [vars(one) | {"within": bool(one.within)} for one in found]}))
    return 1 if failed or not all(one.within for one in found) else 0


def everything(args: argparse.Namespace, overrides: tuple[str, ...]) -> int:
    check_plain(args)
    from avatar_jax.evaluation.benchmark import ranking

    took: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.monotonic()
        done = work()
        took[name] = round(time.monotonic() - began, 1)
        return done

    home, videos = args.out / "set", args.out / "systems"
    cases = timed("edition", lambda: built(home, args.cases, args.seconds, False, args.workers))
    failed = timed("ours", lambda: made_systems(args, overrides, home, videos, cases, "truth,ours"))
    scores = timed("scores", lambda: scored(home, videos, args.out / "scores", args.workers))
    print(ranking.table(scores))
    length = sum(case.seconds for case in cases)
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
    print(f"{len(cases)} cases, {length:.0f} s of video, in {sum(took.values()):.0f} s: {parts}")
    if args.json:
        print(as_json({"cases": len(cases), "seconds": length, "took_s": took, "failed": len(failed)}))
    return 1 if failed else 0


def as_json(value: dict[str, Any]) -> str:
    """One line; a number that does not exist is null."""
    from avatar_jax.evaluation.scoring.results import plain

    return json.dumps(plain(value), ensure_ascii=False)


def built(out: Path, cases: int, seconds: float | None, still: bool, workers: int) -> list[SetCase]:
    from avatar_jax.evaluation.benchmark.edition import EditionConfig, build

    return build(EditionConfig(out, cases, seconds, still, workers))


def made_systems(
    args: argparse.Namespace, overrides: tuple[str, ...], home: Path, out: Path, cases: Sequence[SetCase], only: str
) -> list[Any]:
    """Make systems; what could not be made is told on stderr and returned."""
    from avatar_jax.evaluation.benchmark.sharing import make_together
    from avatar_jax.evaluation.benchmark.systems import Studio, named

    names = named(only)
    if not only and not any(case.truth for case in cases):
        names.remove("truth")
    failed = make_together(Studio(home, out, cases, args.weights, overrides), names, args.workers)
    for one in failed:
        print(f"{one.system}, {one.case}: {one.reason}", file=sys.stderr)
    return failed


def scored(home: Path, videos: Path, out: Path, workers: int) -> list[Any]:
    """Scores of every system's folder below `videos`, in the order in which they are made; tables, plots and the page
    of `evaluation run` are written beside them."""
    from avatar_jax.evaluation.benchmark.systems import SYSTEMS
    from avatar_jax.evaluation.scoring.report import write_report
    from avatar_jax.evaluation.scoring.run import score_systems

    rule = "a folder with one folder of videos a system, made by `benchmark systems`"
    if not videos.is_dir():
        raise BadInput(f"--systems {videos}", "no such folder", rule, "make the systems first")
    there = [path.name for path in videos.iterdir() if path.is_dir() and not path.name.startswith(".")]
    order = [name for name in SYSTEMS if name in there] + sorted(set(there) - set(SYSTEMS))
    if not order:
        raise BadInput(f"--systems {videos}", "no system in it", rule, "make the systems first")
    systems = {name: videos / name for name in order}
    scores = score_systems(systems, home, out, workers)
    write_report(scores, systems, out, BY, "truth" if "truth" in systems else None)
    print(f"{out / 'report.html'}")
    return scores


def check_plain(args: argparse.Namespace, overrides: tuple[str, ...] = ()) -> None:
    """What can be said of the arguments before anything is loaded; `overrides` only where none are taken."""
    if overrides:
        raise BadInput(
            "wrong arguments", overrides[0], "see --help", "python -m avatar_jax.evaluation benchmark --help"
        )
    cases, seconds = getattr(args, "cases", None), getattr(args, "seconds", None)
    most = composition.CASES
    if cases is not None and not 1 <= cases <= most:
        raise BadInput("--cases", cases, f"1 to {most}", "--cases 12")
    if seconds is not None and not 1 <= seconds <= composition.LONGEST_S:
        raise BadInput("--seconds", f"{seconds:g}", f"1 to {composition.LONGEST_S:g}", "--seconds 10")
    if getattr(args, "workers", 1) < 1:
        raise BadInput("--workers", args.workers, "one process or more", "--workers 2")
