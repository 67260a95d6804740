"""True labels that a source brings: its storyline, and, of drawn avatars, what every frame shows.

`labels` of a source names NAME.json, the storyline; NAME.npz beside it, where there is one, holds labels_TK (a row a
frame of the whole file), label_names and face_points_32, as `LatentExample` does.
"""

from pathlib import PurePath
from typing import Any

import numpy as np

from avatar_jax.media import BadInput
from data_pipeline.chain import Build
from data_pipeline.records import Record, Source
from data_pipeline.stages.probe import located

STATES = ".npz"
NAMES = ("labels_TK", "label_names", "face_points_32")


def true_labels(record: Record, build: Build) -> dict[str, Any]:
    """labels_TK of the clip's frames, label_names and face_points_32; {} where the source brings none, or where frames
    were lost or made up on the way, so that rows and frames do not belong together.

    Raises:
        BadInput: the file is not what it should be.
    """
    if not record.source.labels or record.span is None:
        return {}
    path = located(build, Source(str(PurePath(record.source.labels).with_suffix(STATES))))
    if not path.exists():
        return {}
    try:
        with np.load(build.store.local(path), allow_pickle=False) as stored:
            labels, names, points = (stored[name] for name in NAMES)
    except (OSError, ValueError, KeyError) as error:
        rule = f"an archive of {', '.join(NAMES)}"
        raise BadInput(f"labels {path}", error, rule, "write it again, or take it away") from error
    if len(labels) != record.facts("normalise").get("frames"):
        return {}
    return {"labels_TK": labels[slice(*record.span)], "label_names": names, "face_points_32": points}
