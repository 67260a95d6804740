"""Write a storyline, or check one that was edited.

python -m avatar_jax.director --image P --audio A [--prompt T] [--face x,y,w,h] --out S.json
python -m avatar_jax.director --check S.json [--audio A]
"""

import argparse
import sys
from pathlib import Path

from avatar_jax.director.rules import direct
from avatar_jax.director.storyline import Sound, load
from avatar_jax.media import BadInput, load_audio, load_portrait, locate_face, parse_box


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done or valid, 1 an invalid storyline under --check, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m avatar_jax.director", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--image", type=Path, help="the portrait")
    parser.add_argument("--audio", type=Path, help="the recording")
    parser.add_argument("--prompt", default="", help="the wish, in English, Chinese, Japanese or Korean")
    parser.add_argument("--face", help="x,y,w,h of the head in the portrait, in pixels")
    parser.add_argument("--out", type=Path, help="the storyline to write")
    parser.add_argument("--check", type=Path, help="the storyline to check")
    options = parser.parse_args(argv)
    try:
        if options.check is not None:
            return _check(options.check, options.audio)
        missing = [f"--{name}" for name in ("image", "audio", "out") if getattr(options, name) is None]
        if missing:
            rule = "--image, --audio and --out, or --check"
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


def _write(options: argparse.Namespace) -> None:
    portrait = load_portrait(options.image)
    size = (portrait.shape[1], portrait.shape[0])
    box = parse_box(options.face, size) if options.face else locate_face(portrait)[0]
    storyline = direct(load_audio(options.audio), portrait, options.prompt, box)
    storyline.save(options.out)
    for shot in storyline.shots:
        says = f"{shot.voice:<9} {shot.emotion} {shot.intensity:.1f}, {shot.action}, {shot.camera}"
        print(f"{shot.start:>9} - {shot.end:>9} s  {says}")


if __name__ == "__main__":
    sys.exit(main())
