"""A frozen set from a folder of licensed portraits, recordings and prompts: the same folder gives the same set.

The folder holds three index files with one JSON object a line, and the files that they name:

    portraits.jsonl   {"file", "licence", "origin", "kind", "ethnicity", "framing"}
    recordings.jsonl  {"file", "licence", "language", "voice", "rate"}
    prompts.jsonl     {"prompt", "licence", "emotion", "intensity", "action", "camera", "background"}

Aspect and length are measured. What has no licence, is too small, too short or too long, or cannot be read is refused
with its reason; the others make the set. Every portrait and recording is used once, prompts as often as needed.
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from avatar_jax.evaluation.benchmark.composition import (
    CASES,
    LONGEST_S,
    PORTRAIT,
    PROMPT,
    RECORDING,
    SHORTEST_S,
    Quota,
    length_of,
)
from avatar_jax.evaluation.benchmark.manifest import MANIFEST, SetCase, sha256, write_set
from avatar_jax.media import BadInput, load_audio, load_portrait, unwritable

UNLICENSED = ("", "unknown", "none", "n/a", "?", "all rights reserved")
SMALLEST = 480
"""Pixels of a portrait's shorter side."""
SQUARE = 0.06
"""Relative difference of the sides below which a portrait is square."""


@dataclass(frozen=True)
class Item:
    """One thing to choose: `source` is its file or None; `key` (hash of the content) orders items whatever their names
    are; `value` is a prompt's text or a recording's length."""

    key: str
    source: Path | None
    licence: str
    tags: Mapping[str, str]
    value: Any = None


@dataclass(frozen=True)
class Composed:
    """What `compose` made, and the refused (what, why)."""

    cases: list[SetCase]
    refused: list[tuple[str, str]]


def compose(folder: Path, out: Path, cases: int = CASES) -> Composed:
    """Choose, pair, copy, freeze.

    Raises:
      BadInput: an index cannot be read, nothing is left to choose from, or `out` holds a frozen set.
    """
    if (out / MANIFEST).exists():
        raise BadInput(f"--out {out}", "a frozen set", "a frozen set never changes", "choose another --out")
    refused: list[tuple[str, str]] = []
    portraits = items_of(folder, "portraits.jsonl", portrait_item, refused)
    recordings = items_of(folder, "recordings.jsonl", recording_item, refused)
    prompts = items_of(folder, "prompts.jsonl", prompt_item, refused)
    count = min(cases, len(portraits), len(recordings))
    if not count or not prompts:
        short = "portraits" if not portraits else "recordings" if not recordings else "prompts"
        raise BadInput(f"folder {folder}", f"no {short} that may be used", "one licensed item or more", "see --help")
    chosen = (
        choose(portraits, PORTRAIT, count),
        choose(recordings, RECORDING, count),
        choose(prompts, PROMPT, count, again=True),
    )
    made = [
        frozen(out, number, *triple)
        for number, triple in enumerate(
            tqdm(list(zip(*chosen, strict=True)), "cases", disable=not sys.stderr.isatty()), 1
        )
    ]
    write_set(out, made)
    return Composed(made, refused)


def items_of(
    folder: Path, index: str, make: Callable[[Path, dict[str, str]], Item], refused: list[tuple[str, str]]
) -> list[Item]:
    """The items of an index that may be used, in the order of their content; others are added to `refused`."""
    path = folder / index
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        got = "no such file" if not path.exists() else "not a text file that can be read"
        raise BadInput(f"index {path}", got, "three index files of JSON lines", "see `compose --help`") from error
    found: dict[str, Item] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{index} line {number}"
        try:
            row = row_of(line)
            where = f"{where} ({row.get('file') or row.get('prompt', '')[:40]})"
            if row.get("licence", "").strip().lower() in UNLICENSED:
                raise BadInput(where, "no licence", "", "")
            item = make(folder, row)
        except BadInput as fault:
            refused.append((where, fault.got))
            continue
        if item.key in found:
            refused.append((where, "the same content as an earlier line"))
            continue
        found[item.key] = item
    return [found[key] for key in sorted(found)]


def row_of(line: str) -> dict[str, str]:
    """The texts of a line.

    Raises:
      BadInput: it is not a JSON object of texts and numbers.
    """
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput("line", f"not JSON ({error})", "", "") from error
    if not isinstance(row, dict) or any(not isinstance(value, str | int | float) for value in row.values()):
        raise BadInput("line", "not a JSON object of texts", "", "")
    return {key: str(value) for key, value in row.items()}


def file_of(folder: Path, row: Mapping[str, str]) -> Path:
    name = row.get("file", "")
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or not (folder / name).is_file():
        raise BadInput("file", f"no file {name!r} in the folder", "", "")
    return folder / name


def tags_of(row: Mapping[str, str], quotas: Sequence[Quota]) -> dict[str, str]:
    return {tag: row.get(tag, "").strip() for tag in dict.fromkeys(quota.tag for quota in quotas)}


def portrait_item(folder: Path, row: dict[str, str]) -> Item:
    path = file_of(folder, row)
    height, width = load_portrait(path).shape[:2]
    if min(height, width) < SMALLEST:
        raise BadInput("portrait", f"{width} x {height} pixels; the shorter side needs {SMALLEST}", "", "")
    apart = width / height - 1
    aspect = "square" if abs(apart) <= SQUARE else "horizontal" if apart > 0 else "vertical"
    return Item(sha256(path), path, row["licence"], tags_of(row, PORTRAIT) | {"aspect": aspect})


def recording_item(folder: Path, row: dict[str, str]) -> Item:
    path = file_of(folder, row)
    seconds = float(load_audio(path).seconds)
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise BadInput("recording", f"{seconds:.1f} s; {SHORTEST_S:g} to {LONGEST_S:g} s are wanted", "", "")
    return Item(sha256(path), path, row["licence"], tags_of(row, RECORDING) | {"length": length_of(seconds)}, seconds)


def prompt_item(folder: Path, row: dict[str, str]) -> Item:
    text = row.get("prompt", "").strip()
    if not text:
        raise BadInput("prompt", "an empty prompt", "", "")
    return Item(text, None, row["licence"], tags_of(row, PROMPT), text)


def choose(items: Sequence[Item], quotas: Sequence[Quota], count: int, again: bool = False) -> list[Item]:
    """`count` items, one by one the one whose quotas are scarcest: wanted cases over those that can still give them.

    Exact quotas are not exceeded while other items are left. `again`: items may be used more than once, the least used
    first. The last step orders by a hash, so that no tag of one pool goes along with a tag of another.
    """
    fits = np.array([[quota.meets(item.tags) for quota in quotas] for item in items], float).reshape(
        len(items), len(quotas)
    )
    wanted = np.array([float(quota.count) for quota in quotas])
    exact = np.array([quota.exact for quota in quotas], bool)
    used = np.zeros(len(items), int)
    picked: list[int] = []
    for _ in range(count):
        open_items = used == used.min() if again else used == 0
        left = np.maximum(fits[open_items].sum(axis=0), 1)
        scarce = np.where(wanted > 0, np.maximum(wanted, 0) / left, 0.0)
        over = fits @ (exact & (wanted <= 0)).astype(float)
        worth = np.where(open_items, fits @ scarce - 1e6 * over, -np.inf)
        best = int(worth.argmax())
        picked.append(best)
        used[best] += 1
        wanted -= fits[best]
    order = np.random.default_rng([len(quotas), count]).permutation(count)
    return [items[picked[i]] for i in order]


def frozen(out: Path, number: int, portrait: Item, recording: Item, prompt: Item) -> SetCase:
    """Copy the files of a case into the set."""
    assert portrait.source is not None and recording.source is not None
    tags = {**portrait.tags, **recording.tags, **prompt.tags}
    name = f"{tags['language'] or 'xx'}-{tags['voice'] or 'sound'}-{number:04d}"
    paths = {
        "portrait": f"portraits/{name}{portrait.source.suffix.lower()}",
        "audio": f"audio/{name}{recording.source.suffix.lower()}",
    }
    for source, path in ((portrait.source, paths["portrait"]), (recording.source, paths["audio"])):
        target = out / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(source, part)
            part.replace(target)
        except OSError as error:
            raise unwritable(target, error) from error
    licences = {"portrait": portrait.licence, "audio": recording.licence, "prompt": prompt.licence}
    return SetCase(
        case=name,
        prompt=prompt.value,
        seconds=round(recording.value, 3),
        licence="; ".join(f"{what}: {licence}" for what, licence in licences.items()),
        tags=tags,
        sha256={"portrait": portrait.key, "audio": recording.key},
        **paths,
    )
