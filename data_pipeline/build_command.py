"""`python -m data_pipeline build` and `bench`: their arguments."""

import argparse
import os
import shlex
from pathlib import Path
from typing import Any

from data_pipeline.build import Order, make_dataset
from data_pipeline.engine import Engine, LocalEngine, one_thread
from data_pipeline.engine_beam import BeamEngine
from data_pipeline.settings import Settings


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    cores = len(os.sched_getaffinity(0))
    build = commands.add_parser("build", help="from raw video to training shards")
    build.add_argument("inputs", metavar="IN", help="folder or bucket of raw video, with sources.jsonl")
    build.add_argument("--out", required=True, help="folder or bucket; a run that was stopped goes on there")
    build.add_argument("--engine", choices=("local", "beam"), default="local")
    build.add_argument("--workers", type=int, default=cores, help="processes of the local engine")
    build.add_argument("--beam", default="--runner=DirectRunner", metavar="OPTIONS", help="options of a Beam runner")
    build.add_argument("--licence", default="", help="of files that sources.jsonl does not name")
    build.add_argument("--consent", default="", help="of files that sources.jsonl does not name")
    build.add_argument("--previews", action="store_true", help="videos of all clips that `review OUT` should show")
    build.add_argument(
        "--decisions", type=Path, help="of the review; default OUT/review/decisions.jsonl if it is there"
    )
    build.set_defaults(run=run_build, settings=Settings())
    bench = commands.add_parser("bench", help="speed of every stage on this machine")
    bench.add_argument("--clips", type=int, default=4)
    bench.add_argument("--size", type=int, default=512, help="pixels a side")
    bench.add_argument("--seconds", type=float, default=5.0, help="of each clip")
    bench.add_argument("--video", type=Path, help="measure on this file, not on drawn clips")
    bench.set_defaults(run=run_bench)


def run_build(args: argparse.Namespace) -> None:
    # Here too, where Beam's DirectRunner works: sums in another order would change the last bits of latents.
    one_thread()
    engine: Engine = LocalEngine(args.workers)
    if args.engine == "beam":
        engine = BeamEngine(args.out, tuple(shlex.split(args.beam)))
    order = Order(args.inputs, args.out, args.settings, args.licence, args.consent, args.previews, args.decisions)
    print(make_dataset(order, engine))


def run_bench(args: argparse.Namespace) -> None:
    from data_pipeline.bench import measure

    print(measure(args.clips, args.size, args.seconds, args.video))
