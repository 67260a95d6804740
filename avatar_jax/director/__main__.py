"""Write a storyline, check one that was edited, or score a director on hand-written cases.

python -m avatar_jax.director --image P --audio A [--prompt T] [--face x,y,w,h] [--director D] --out S.json
python -m avatar_jax.director --check S.json [--audio A]
python -m avatar_jax.director --cases tests/director/cases.jsonl [--director D]

D is rules (the default), transformers:FOLDER or openai:URL[#MODEL]. A page S.md with a picture S.png is written beside
S.json. Exit status: 0; 1 for an invalid storyline or under 90 % of the cases' fields; 2 for bad input.
"""

import argparse
import sys
from pathlib import Path

from avatar_jax.director.cases import read_cases, score, table
from avatar_jax.director.choose import choose_director
from avatar_jax.director.sheet import write_sheet
from avatar_jax.director.storyline import Sound, load
from avatar_jax.media import BadInput, load_audio, load_portrait, locate_face, parse_box

ENOUGH = 0.9
"""Share of the cases' fields that a director must get right."""


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done or valid, 1 an invalid storyline or too few fields right, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m avatar_jax.director", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--image", type=Path, help="the portrait")
    parser.add_argument("--audio", type=Path, help="the recording")
    parser.add_argument("--prompt", default="", help="the wish, in English, Chinese, Japanese or Korean")
    parser.add_argument("--face", help="x,y,w,h of the head in the portrait, in pixels")
    parser.add_argument("--director", default="rules", help="rules, transformers:FOLDER or openai:URL[#MODEL]")
    parser.add_argument("--out", type=Path, help="the storyline to write")
    parser.add_argument("--check", type=Path, help="the storyline to check")
    parser.add_argument("--cases", type=Path, help="a file of cases to score the director on")
    options = parser.parse_args(argv)
    try:
        if options.cases is not None:
            return _score(options)
        if options.check is not None:
            return _check(options.check, options.audio)
        missing = [f"--{name}" for name in ("image", "audio", "out") if getattr(options, name) is None]
        if missing:
            rule = "--image, --audio and --out; or --check; or --cases"
            raise BadInput("arguments", f"no {', '.join(missing)}", rule, "python -m avatar_jax.director --help")
        _write(options)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _check(path: Path, audio: Path | None) -> int:
    if not path.is_file():
        raise BadInput(f"storyline {path}", "no such file", "--check names a storyline", "check the path")
    sound = None
    if audio is not None:
        recording = load_audio(audio)
        sound = Sound(samples=recording.samples, sample_rate=recording.sample_rate)
    try:
        storyline = load(path, sound)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path}: valid, {len(storyline.shots)} shots over {float(storyline.sound.seconds):.3f} s")
    return 0


def _score(options: argparse.Namespace) -> int:
    verdicts = score(read_cases(options.cases), choose_director(options.director))
    print(table(verdicts))
    return 0 if sum(v.right for v in verdicts) >= ENOUGH * len(verdicts) else 1


def _write(options: argparse.Namespace) -> None:
    director = choose_director(options.director)
    portrait, recording = load_portrait(options.image), load_audio(options.audio)
    size = (portrait.shape[1], portrait.shape[0])
    box = parse_box(options.face, size) if options.face else locate_face(portrait)[0]
    storyline = director(recording, portrait, options.prompt, box)
    storyline.save(options.out)
    write_sheet(storyline, recording, options.out)
    if storyline.fallback:
        print(f"warning: {storyline.fallback}", file=sys.stderr)
    for shot in storyline.shots:
        says = f"{shot.voice:<9} {shot.emotion} {shot.intensity:.1f}, {shot.action}, {shot.camera}"
        print(f"{shot.start:>9} - {shot.end:>9} s  {says}")


if __name__ == "__main__":
    sys.exit(main())
