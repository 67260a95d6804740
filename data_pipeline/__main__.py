"""Data for the embedded model, made from nothing.

    python -m data_pipeline synthetic --what stills  --out data/embedded/stills  --count 3000
    python -m data_pipeline synthetic --what audio   --out data/embedded/audio   --hours 7
    python -m data_pipeline synthetic --what latents --out data/embedded/latents --count 1600
    python -m data_pipeline synthetic --what latents --out data/embedded/latents-heldout --count 48 --split heldout
    python -m data_pipeline synthetic --what clips   --out data/clips --count 100 --seconds 3,6
    python -m data_pipeline synthetic --what preview --out out/preview --count 3

stills: posed frames of many characters, for the gate's reader. audio: labelled speech, for the audio encoder.
latents: encoded clips with audio features and storylines, for the generator; needs the trained codec and audio
encoder. clips: sound, states and storylines without encoding. preview: contact sheets and videos with sound.
Runs go on where they were stopped. Exit status: 0, 2 for a mistake in the request.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from avatar_jax.media import BadInput, unwritable
from avatar_jax.weights import ship

COUNTS = {"stills": 3000, "latents": 1000, "clips": 100, "preview": 3, "audio": 0}


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
    return p


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
        args = parser().parse_args(arguments)
        try:
            synthetic(args)
        except OSError as error:
            raise unwritable(args.out, error) from error
    except (BadInput, ship.WeightsError) as mistake:
        print(mistake, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
