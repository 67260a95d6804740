"""`python -m data_pipeline experts ...`: train the experts, measure them, and let them score videos.

    experts data  --out DIR [--count N]                              rendered clips for camera and sync
    experts train mouth|camera|sync --out DIR [--data DIR] [--steps N]      also: data_pipeline train-expert ...
    experts train aesthetics --out HEAD.safetensors --votes FILE --videos DIR --clip DIR
    experts roc   mouth|camera|sync --out DIR [--weights FILE] [--clips N] [--calibrate]
    experts score VIDEO... [--expert NAME ...] [--clip DIR --head FILE] [--syncnet FILE]   one JSON line a video

`train` leaves weights without a threshold; `roc --calibrate` measures it on held-out clips and writes it into them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from avatar_jax.media import BadInput
from data_pipeline.experts.trained import FALSE_POSITIVE

TRAINED = ("mouth", "camera", "sync")
NAMES = (*TRAINED, "aesthetics")


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    p = commands.add_parser(
        "experts", help="train, measure and use the experts", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    inner = p.add_subparsers(dest="action", required=True)
    data = inner.add_parser("data", help="rendered clips on which camera and sync train")
    data.add_argument("--out", required=True, type=Path)
    data.add_argument("--count", type=int, default=400)
    add_training(inner.add_parser("train", help="train one expert"))
    roc = inner.add_parser("roc", help="measure one expert on held-out clips")
    roc.add_argument("name", choices=TRAINED)
    roc.add_argument("--out", required=True, type=Path)
    roc.add_argument("--weights", type=Path, help="left out: the shipped ones")
    roc.add_argument("--clips", type=int, help="good, and as many bad, of each of two held-out sets")
    roc.add_argument("--false-positive", type=float, default=FALSE_POSITIVE, help="share of bad clips that may pass")
    roc.add_argument("--calibrate", action="store_true", help="write the threshold into the weights")
    score = inner.add_parser("score", help="what the experts say of videos")
    score.add_argument("videos", nargs="+", type=Path)
    score.add_argument("--expert", action="append", choices=NAMES, help="left out: all")
    score.add_argument("--clip", type=Path, help="folder of CLIP's weights, for aesthetics")
    score.add_argument("--head", type=Path, help="aesthetic head, public or trained from votes")
    score.add_argument("--syncnet", type=Path, help="published SyncNet weights as safetensors, instead of ours")
    p.set_defaults(run=run)
    alone = commands.add_parser("train-expert", help="the same as `experts train`")
    add_training(alone)
    alone.set_defaults(run=run, action="train")


def add_training(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", choices=NAMES)
    p.add_argument("--out", required=True, type=Path, help="folder; for aesthetics the head's file")
    p.add_argument("--data", type=Path, default=Path("data/experts"), help="what `experts data` wrote")
    p.add_argument("--steps", type=int)
    p.add_argument("--votes", type=Path, help="of a review: CSV or SQLite")
    p.add_argument("--videos", type=Path, help="folder of the voted videos, named ID.mp4")
    p.add_argument("--clip", type=Path, help="folder of CLIP's weights")


def run(args: argparse.Namespace) -> None:
    """Raises BadInput or WeightsError for a mistake in the request."""
    {"data": data, "train": train, "roc": roc, "score": score}[args.action](args)


def data(args: argparse.Namespace) -> None:
    from data_pipeline.experts.pool import write_pool

    write_pool(args.out, positive("--count", args.count))


def train(args: argparse.Namespace) -> None:
    if args.name == "aesthetics":
        train_aesthetics(args)
        return
    from data_pipeline.experts.train import train as train_expert

    steps = None if args.steps is None else positive("--steps", args.steps)
    path = train_expert(args.name, args.out, args.data, steps)
    print(f"{path}; now: python -m data_pipeline experts roc {args.name} --weights {path} --out DIR --calibrate")


def train_aesthetics(args: argparse.Namespace) -> None:
    from data_pipeline.experts.aesthetics import clip_embedder, train_head
    from data_pipeline.experts.video import opened_clip
    from data_pipeline.experts.votes import read_votes

    if lacking := [f"--{name}" for name in ("votes", "videos", "clip") if getattr(args, name) is None]:
        rule = "a head needs votes, the videos that were voted on, and CLIP's weights"
        raise BadInput("experts train aesthetics", f"no {', '.join(lacking)}", rule, "see experts --help")
    votes, embed = read_votes(args.votes), clip_embedder(args.clip)
    found = {path.stem: opened_clip(path) for path in sorted(args.videos.glob("*.mp4")) if path.stem in votes}
    try:
        print(json.dumps(train_head(found, votes, embed, args.out)))
    except ValueError as error:
        fix = "review more clips, and name the videos by their ids"
        raise BadInput(f"votes {args.votes}", error, "votes on videos that are there", fix) from error


def roc(args: argparse.Namespace) -> None:
    from avatar_jax.weights.ship import shipped
    from data_pipeline.experts.train import RECIPES, keep_threshold, measure

    if not 0 <= args.false_positive < 1:
        raise BadInput("--false-positive", args.false_positive, "a share from 0 to below 1", "--false-positive 0.01")
    weights = args.weights or shipped(RECIPES[args.name].file)
    clips = None if args.clips is None else positive("--clips", args.clips)
    report = measure(args.name, weights, args.out, clips, args.false_positive)
    if args.calibrate:
        keep_threshold(weights, report)
    shown = {key: report["test"][key] for key in ("auc", "threshold", "false_positive", "true_positive")}
    print(json.dumps(shown | report["offsets"]))


def score(args: argparse.Namespace) -> None:
    from data_pipeline.experts.aesthetics import aesthetics_expert
    from data_pipeline.experts.camera import camera_expert
    from data_pipeline.experts.mouth import mouth_expert
    from data_pipeline.experts.sync import published_sync_expert, sync_expert
    from data_pipeline.experts.video import opened_clip
    from data_pipeline.protocol import to_result

    make = {
        "mouth": mouth_expert,
        "camera": camera_expert,
        "sync": lambda: published_sync_expert(args.syncnet) if args.syncnet else sync_expert(),
        "aesthetics": lambda: aesthetics_expert(args.clip, args.head),
    }
    experts = [make[name]() for name in args.expert or NAMES]
    for path in args.videos:
        clip = opened_clip(path)
        results = [to_result(expert, expert.judge(clip)) for expert in experts]
        said = {
            result.stage.removeprefix("experts."): {
                "status": result.status, "score": result.score, "threshold": result.threshold,
                "frame": result.evidence_frame, "reason": result.reason, **result.facts,
            }
            for result in results
        }  # fmt: skip
        print(json.dumps({"video": str(path)} | said))


def positive(name: str, value: int) -> int:
    if value < 1:
        raise BadInput(name, value, "one or more", f"{name} 100")
    return value
