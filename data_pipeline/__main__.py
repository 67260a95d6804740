"""Data for the embedded model, made from nothing.

    python -m data_pipeline synthetic --what stills  --out data/embedded/stills  --count 3000
    python -m data_pipeline synthetic --what audio   --out data/embedded/audio   --hours 7
    python -m data_pipeline synthetic --what latents --out data/embedded/latents --count 1600
    python -m data_pipeline synthetic --what latents --out data/embedded/latents-heldout --count 48 --split heldout
    python -m data_pipeline synthetic --what clips   --out data/clips --count 100 --seconds 3,6
    python -m data_pipeline synthetic --what preview --out out/preview --count 3
    python -m data_pipeline synthetic --what videos  --out data/raw --count 6 [--damaged]
    python -m data_pipeline build IN --out OUT [--engine beam] [--previews] [--stage.setting=value ...]
    python -m data_pipeline bench
    python -m data_pipeline synthetic --what set     --out data/drawn --count 1000
    python -m data_pipeline review DIR [--host H --token T] [--export OUT]
    python -m data_pipeline card DIR
    python -m data_pipeline experts data|train|roc|score ...
    python -m data_pipeline train-expert mouth|camera|sync|aesthetics --out DIR ...      the same as experts train

stills: posed frames of many characters, for the gate's reader. audio: labelled speech, for the audio encoder.
latents: encoded clips with audio features and storylines, for the generator; needs the trained codec and audio
encoder. clips: sound, states and storylines without encoding. preview: contact sheets and videos with sound.
videos: raw files with a source list, as `build` reads them, --damaged in every known way too (docs/data.md).
set: a finished set with the schema of recorded clips (docs/data.md): media, and latents where the weights are there.
Runs go on where they were stopped. Exit status: 0, 2 for a mistake in the request.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from avatar_jax.config import ConfigError, override
from avatar_jax.media import BadInput, unwritable
from avatar_jax.weights import ship
from data_pipeline import build_command as build
from data_pipeline.experts import command as experts
from data_pipeline.review import command as review

COUNTS = {"stills": 3000, "latents": 1000, "clips": 100, "preview": 3, "audio": 0, "set": 100, "videos": 6}


class Parser(argparse.ArgumentParser):
    """Mistakes are told in three lines, like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput("wrong arguments", message, "see data_pipeline/__main__.py", "python -m data_pipeline --help")


def span(text: str) -> tuple[float, float]:
    """Seconds "4" or "3,6"."""
    parts = [float(x) for x in text.split(",")]
    if not 1 <= len(parts) <= 2 or not 1 <= parts[0] <= parts[-1] <= 60:
        raise ValueError(text)
    return parts[0], parts[-1]


def parser() -> Parser:
    p = Parser(
        prog="python -m data_pipeline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = p.add_subparsers(dest="command", required=True)
    make = commands.add_parser("synthetic", help="procedural talking avatars")
    make.add_argument("--what", required=True, choices=list(COUNTS))
    make.add_argument("--out", required=True, type=Path)
    make.add_argument("--count", "--clips", type=int, help="characters or clips")
    make.add_argument("--split", choices=("train", "heldout"), default="train")
    make.add_argument("--seed", type=int, default=0, help="of the first clip")
    make.add_argument("--seconds", type=span, default=(4.0, 4.0), help="length of clips: 4, or 3,6")
    make.add_argument("--hours", type=float, default=3.4, help="of speech, for audio")
    make.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    make.add_argument("--weights", type=Path, default=ship.SHIPPED, help="folder of codec and audio.safetensors")
    make.add_argument("--size", type=int, default=256, help="pixels a side, for set and videos")
    make.add_argument("--damaged", action="store_true", help="videos: every known damage too")
    build.add(commands)
    review.add(commands)
    experts.add(commands)
    card = commands.add_parser("card", help="the page of a finished set")
    card.add_argument("out", type=Path, metavar="DIR", help="folder of the sets media and latents")
    card.set_defaults(run=print_card)
    return p


def print_card(args: argparse.Namespace) -> None:
    from data_pipeline.dataset.card import write_card

    print(write_card(args.out))


def synthetic(args: argparse.Namespace) -> None:
    count = COUNTS[args.what] if args.count is None else args.count
    if count < 1 and args.what != "audio":
        raise BadInput("wrong --count", count, "one or more", "--count 100")
    if args.what == "stills":
        from data_pipeline.synthetic.stills_set import write_stills

        with tqdm(total=count, unit="character", desc="stills") as bar:
            write_stills(args.out, args.seed, count, workers=args.workers, progress=bar.update)
    elif args.what == "audio":
        from data_pipeline.synthetic.audio_set import write_audio_set

        write_audio_set(args.out, args.hours, args.seed, args.split)
    elif args.what == "preview":
        from data_pipeline.synthetic.clip import make_clip
        from data_pipeline.synthetic.preview import write_preview

        for seed in range(args.seed, args.seed + count):
            print(f"clip {seed}", *write_preview(args.out, make_clip(seed, args.split, args.seconds)), sep="\n  ")
    elif args.what == "videos":
        from data_pipeline.synthetic.videos import write_videos

        seeds = range(args.seed, args.seed + count)
        print(f"{write_videos(args.out, seeds, args.size, args.damaged, args.seconds[0])} files in {args.out}")
    elif args.what == "set":
        from data_pipeline.synthetic.finished import FinishedConfig, write_finished

        config = FinishedConfig(count, args.split, args.seed, args.seconds, args.size, str(args.weights))
        print(write_finished(args.out, config, args.workers))
    else:
        from data_pipeline.synthetic.dataset import DatasetConfig, write_dataset

        files = [str(args.weights / f"{name}.safetensors") for name in ("codec", "audio")]
        if args.what == "latents" and (missing := [f for f in files if not Path(f).exists()]):
            rule = "latents need the trained codec and audio encoder"
            raise BadInput("weights not found", ", ".join(missing), rule, "train them, or give --weights FOLDER")
        codec, audio = files if args.what == "latents" else ("", "")
        config = DatasetConfig(args.what, count, args.split, args.seed, args.seconds, codec, audio)
        write_dataset(args.out, config, args.workers)


def main(arguments: list[str] | None = None) -> int:
    try:
        args, rest = parser().parse_known_args(arguments)
        if args.command == "build":
            args.settings = override(args.settings, rest)
        elif rest:
            raise BadInput("unknown argument", rest[0], "see --help", f"python -m data_pipeline {args.command} --help")
        try:
            getattr(args, "run", synthetic)(args)
        except OSError as error:
            raise unwritable(getattr(args, "out", args.command), error) from error
    except (BadInput, ConfigError, ship.WeightsError) as mistake:
        print(mistake, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
