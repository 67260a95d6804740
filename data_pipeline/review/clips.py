"""What there is to review: a folder of videos with a list of clips, plain videos, or a finished set."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from avatar_jax.media import BadInput
from data_pipeline.dataset.reader import SetSource
from data_pipeline.dataset.shard import read_index, set_folder

LIST = "clips.jsonl"
VIDEOS = (".mp4", ".webm")
FOLDER = "review"
"""Below the reviewed folder: votes, exports, and the videos of a finished set."""
WANTED = f"a folder with {LIST}, with videos, or with a finished set (media/1.0.0)"


@dataclass(frozen=True)
class Clip:
    """One clip to judge.

    scores: what experts said, {"value", "threshold", "passed"} by name; shown after the vote only.
    """

    clip: str
    video: Path
    scores: Mapping[str, Any] = field(default_factory=dict)
    caption: str = ""


def read_clips(folder: Path) -> list[Clip]:
    """Clips of a folder, in a fixed order.

    Raises:
        BadInput: there are none, the list is damaged, or it names a video twice or outside the folder.
    """
    if not folder.is_dir():
        raise BadInput(f"review {folder}", "no such folder", WANTED, "check the path")
    if (folder / LIST).exists():
        return _listed(folder)
    finished = set_folder(folder, "media")
    if (finished / "dataset_info.json").exists():
        unpack(finished, folder / FOLDER)
        return _listed(folder / FOLDER)
    videos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEOS and not p.name.startswith("."))
    if not videos:
        raise BadInput(f"review {folder}", "no videos", WANTED, "check the path")
    return [Clip(path.relative_to(folder).as_posix(), path) for path in videos]


def _listed(folder: Path) -> list[Clip]:
    clips: dict[str, Clip] = {}
    for number, line in enumerate((folder / LIST).read_text().splitlines(), 1):
        try:
            row = json.loads(line)
            clip = Clip(str(row["clip"]), folder / row["video"], row.get("scores", {}), row.get("caption", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            rule = 'lines {"clip": name, "video": path below the folder, "scores": {}, "caption": ""}'
            raise BadInput(f"{folder / LIST}, line {number}", repr(error), rule, "write the list again") from error
        if clip.clip in clips:
            raise BadInput(f"{folder / LIST}, line {number}", f"{clip.clip} again", "clips differ", "write it again")
        clips[clip.clip] = clip
    if not clips:
        raise BadInput(f"{folder / LIST}", "no clips", WANTED, "write the list again")
    return list(clips.values())


def write_clips(folder: Path, clips: Iterable[Clip]) -> None:
    """The list that `read_clips` reads; videos lie below `folder`. A whole file or none."""
    rows = (
        {
            "clip": clip.clip,
            "video": clip.video.relative_to(folder).as_posix(),
            "scores": dict(clip.scores),
            "caption": clip.caption,
        }
        for clip in clips
    )
    temporary = folder / f".{LIST}.part"
    temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    temporary.replace(folder / LIST)


def unpack(finished: Path, into: Path) -> None:
    """Videos of a finished media set as files, and their list; what is there already is left alone."""
    names = {line["clip"] for line in read_index(finished)}
    if (into / LIST).exists() and {clip.clip for clip in _listed(into)} == names:
        return
    records = SetSource(finished)
    videos, clips = into / "videos", []
    videos.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(len(records)), unit="clip", desc="videos for review"):
        record = records[number]
        path = videos / f"{record['clip']}.mp4"
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(record["video"])
            part.replace(path)
        told = record["scores"]
        rows = zip(told["expert"], told["value"], told["threshold"], told["passed"], strict=True)
        scores = {
            name: {"value": _number(value), "threshold": _number(threshold), "passed": bool(passed)}
            for name, value, threshold, passed in rows
        }
        clips.append(Clip(record["clip"], path, scores, record["caption"]))
    write_clips(into, clips)


def _number(value: float) -> float | None:
    return None if value != value else float(value)
