"""From two folders of videos to pairs that can be judged blind; what cannot is left out and named."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageOps
from tqdm import tqdm

from avatar_jax.evaluation.benchmark.manifest import SetCase, read_set, sha256
from avatar_jax.evaluation.gsb import comparison as kept
from avatar_jax.evaluation.gsb.anonymous import WITHOUT_NAMES, Facts, copy_anonymously, facts_of
from avatar_jax.evaluation.gsb.comparison import Comparison, Pair
from avatar_jax.evaluation.scoring.footage import videos_of
from avatar_jax.media import BadInput, unwritable

SAME_LENGTH_S = 0.1
"""Videos whose lengths differ by more have a note."""
PORTRAIT = 512
"""Longer side of the portrait on the page."""


def names_of(a: Path, b: Path) -> tuple[str, str]:
    """What reports call two systems: their folders' names, with the folder above where these are equal.

    Raises:
        BadInput: it is one folder.
    """
    one, two = a.resolve(), b.resolve()
    if one == two:
        raise BadInput("gsb A B", f"{a} twice", "two systems are two folders", "name another folder")
    if one.name == two.name:
        return "/".join(one.parts[-2:]), "/".join(two.parts[-2:])
    return one.name, two.name


@dataclass(frozen=True)
class Sources:
    """The files of one case: of both systems, their digests, and its line of the set."""

    case: str
    files: tuple[Path, Path]
    digests: tuple[str, str]
    told: SetCase | None


def prepare(a: Path, b: Path, set_folder: Path | None, out: Path, seed: int, raters: int) -> Comparison:
    """The comparison of two folders in `out`; what an earlier call has begun there is gone on with.

    Raises:
        BadInput: no case that both have, no pair that can be played, or `out` holds another comparison.
    """
    names, told = names_of(a, b), {case.case: case for case in read_set(set_folder)} if set_folder else {}
    common, left_out = _common(names, videos_of(a), videos_of(b))
    with ThreadPoolExecutor(2) as threads:
        hashed = dict(zip(common, threads.map(_digests, common.values()), strict=True))
    contents = {case: [*hashed[case], *_shown(told.get(case))] for case in sorted(common)}
    wanted = kept.identity(names, seed, contents)
    if (out / kept.FILE).exists():
        there = kept.read(out)
        if there.id != wanted:
            got = f"another one lies there: {there.systems[0]} against {there.systems[1]}, {len(there.pairs)} cases"
            rule = "one --out, one comparison: the same videos, set and --seed"
            raise BadInput(f"comparison {out}", got, rule, kept.FIX)
        return there
    try:
        (out / kept.VIDEOS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    sources = [Sources(case, common[case], hashed[case], told.get(case)) for case in sorted(common)]
    pairs = []
    with ThreadPoolExecutor(2) as threads:
        made = threads.map(partial(_pair, out / kept.VIDEOS, set_folder, names), sources)
        for source, result in zip(sources, tqdm(made, total=len(sources), unit="pair", desc="pairs"), strict=True):
            if isinstance(result, Pair):
                pairs.append(result)
            else:
                left_out[source.case] = result
    if not pairs:
        case, reason = next(iter(left_out.items()))
        raise BadInput("gsb A B", f"no pair can be played; {case}: {reason}", "two whole videos a case", "make them")
    comparison = Comparison(wanted, names, seed, raters, tuple(pairs), left_out)
    kept.write(out, comparison)
    return comparison


def _digests(files: tuple[Path, Path]) -> tuple[str, str]:
    return sha256(files[0]), sha256(files[1])


def _shown(told: SetCase | None) -> tuple[str, ...]:
    """What the page shows of a line of the set, and what tables are made by."""
    if told is None:
        return ()
    return told.prompt, told.portrait, *(f"{tag}={value}" for tag, value in sorted(told.tags.items()))


def _common(
    names: tuple[str, str], a: Mapping[str, Path], b: Mapping[str, Path]
) -> tuple[dict[str, tuple[Path, Path]], dict[str, str]]:
    """Files of the cases that both systems have, and why others are left out."""
    both = {case: (a[case], b[case]) for case in sorted(a.keys() & b.keys())}
    if not both:
        got = f"{names[0]} has {min(a)} and others, {names[1]} has {min(b)} and others; none is in both"
        raise BadInput("gsb A B", got, "the two videos of a case have one name", "rename the videos after their cases")
    return both, {case: f"only {names[0] if case in a else names[1]} has it" for case in sorted(a.keys() ^ b.keys())}


def _pair(videos: Path, set_folder: Path | None, names: tuple[str, str], source: Sources) -> Pair | str:
    """The pair, or why there is none."""
    facts: list[Facts] = []
    for name, file in zip(names, source.files, strict=True):
        try:
            facts.append(facts_of(file))
        except BadInput as mistake:
            return f"{name}: {mistake.got}"
    notes, made = _differences(*facts), []
    for index, name in enumerate(names):
        sound, note = _sound(index, facts, source, set_folder)
        notes += [f"{name}: {note}"] if note else []
        if facts[index].codec not in WITHOUT_NAMES:
            notes.append(f"{name}: {facts[index].codec} made H.264 for browsers")
        digest = hashlib.sha256(f"{source.digests[index]} {sound and sha256(sound)}".encode()).hexdigest()
        into = videos / f"{digest[:24]}.mp4"
        try:
            if not into.exists():
                copy_anonymously(source.files[index], into, sound)
        except BadInput as mistake:
            return f"{name}: {mistake.got}"
        made.append(into.name)
    told, both = source.told, (facts[0], facts[1])
    if told is None or set_folder is None:
        return Pair(source.case, made[0], made[1], both, tuple(notes))
    portrait = _portrait(set_folder / told.portrait, videos)
    return Pair(source.case, made[0], made[1], both, tuple(notes), dict(told.tags), told.prompt, portrait)


def _sound(index: int, facts: Sequence[Facts], source: Sources, set_folder: Path | None) -> tuple[Path | None, str]:
    """What a video is heard with, and a note where that is not its own sound.

    Both videos of a case follow one recording: the set's, or else the other video's, stands in for it.
    """
    if facts[index].sound:
        return source.files[index], ""
    if source.told and set_folder and (recording := set_folder / source.told.audio).is_file():
        return recording, "no sound of its own, heard with the set's recording"
    if facts[1 - index].sound:
        return source.files[1 - index], "no sound of its own, heard with the other video's"
    return None, "no sound"


def _differences(a: Facts, b: Facts) -> list[str]:
    notes = []
    if abs(a.seconds - b.seconds) > SAME_LENGTH_S:
        notes.append(f"lengths differ: {a.seconds:.2f} s and {b.seconds:.2f} s")
    if (a.width, a.height) != (b.width, b.height):
        notes.append(f"sizes differ: {a.width}x{a.height} and {b.width}x{b.height}")
    if abs(a.fps - b.fps) > 0.01:
        notes.append(f"frame rates differ: {a.fps:g} and {b.fps:g}")
    return notes


def _portrait(path: Path, videos: Path) -> str:
    """A small copy without what a camera or a tool has written beside the picture.

    Raises:
        BadInput: the set's portrait cannot be read; `benchmark check` says what else is wrong with the set.
    """
    try:
        with Image.open(path) as opened:
            small = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError) as error:
        raise BadInput(f"portrait {path}", error, "the set's own picture", "restore the set") from error
    small.thumbnail((PORTRAIT, PORTRAIT))
    into = videos / f"{hashlib.sha256(small.tobytes()).hexdigest()[:24]}.png"
    clean = Image.frombytes("RGB", small.size, small.tobytes())
    with TemporaryDirectory(prefix=".part-", dir=videos) as folder:
        part = Path(folder) / into.name
        clean.save(part)
        part.replace(into)
    return into.name
