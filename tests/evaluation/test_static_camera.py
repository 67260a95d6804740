"""Clips without camera moves, on which drift can be told from a move."""

import numpy as np

from avatar_jax.director.camera import CAMERA
from avatar_jax.evaluation.making import held_out_clips
from data_pipeline.synthetic.state import COLUMN


def test_the_camera_stands_still_and_all_else_stays() -> None:
    [moving], [still] = (list(held_out_clips(1, 2.0, still)) for still in (False, True))
    assert all(shot.camera == "static" and shot.action != "lean_in" for shot in still.storyline.shots)
    columns = [COLUMN[name] for name in CAMERA]
    assert not still.states_TS[:, columns].any()
    rest = [i for name, i in COLUMN.items() if name not in (*CAMERA, "occlude")]
    np.testing.assert_array_equal(still.states_TS[:, rest], moving.states_TS[:, rest])
