"""From a line of the pipeline's manifest to the arguments of an example of a finished set."""

from pathlib import PurePath
from typing import Any

from data_pipeline.dataset.provenance import Provenance
from data_pipeline.dataset.schema import Score
from data_pipeline.protocol import Tracks
from data_pipeline.records import FPS, Record, Source

EXPERTS = "experts."
"""Begins the names of the results that are experts' verdicts."""


def provenance_of(source: Source) -> Provenance:
    """Named after the folder in which the raw file lay, else after how it came to be (recorded, synthetic).

    Raises:
      BadInput: its licence or consent is not known; such a file goes into no set.
    """
    folders = PurePath(source.uri).parts[:-1]
    name = folders[0] if folders and not PurePath(source.uri).is_absolute() else source.origin
    return Provenance(name, source.licence, source.consent, source.uri)


def scores_of(record: Record) -> dict[str, Score]:
    """What every expert said, by its name."""
    return {
        result.stage.removeprefix(EXPERTS): Score(
            result.score, result.threshold, result.status == "passed", result.version
        )
        for result in record.results
        if result.stage.startswith(EXPERTS)
    }


def described(record: Record, size: tuple[int, int], tracks: Tracks | None = None) -> dict[str, Any]:
    """Arguments of `MediaExample` and `LatentExample` that a clip's record tells; caption and storyline are to add.

    Args:
        size: height and width of the frames.

    Raises:
      BadInput: as `provenance_of`.
    """
    boxes = {} if tracks is None else {"faces_T4": tracks.heads_TB, "mouths_T4": tracks.mouths_TB}
    return {
        "clip": record.id,
        "source": provenance_of(record.source),
        "fps": float(FPS),
        "frames": record.frames,
        "size": size,
        "language": record.source.language,
        "scores": scores_of(record),
        **boxes,
    }
