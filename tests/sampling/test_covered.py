"""A hand before the mouth of the portrait: the user is told; a free mouth or a hand beside the face says nothing."""

from typing import Any

import numpy as np
import pytest

from avatar_jax.media.face import Framing
from avatar_jax.models.reader import Reader, ReaderConfig
from avatar_jax.sampling.covered import WARNING, covered
from avatar_jax.sampling.request import Prepared
from avatar_jax.weights import ship

pytest.importorskip("skia", reason="drawing portraits needs the pipeline extra")


@pytest.mark.parametrize(("place", "told"), [((0.0, 0.0), True), ((0.33, 0.1), False), (None, False)])
def test_a_hidden_mouth_is_told(place: tuple[float, float] | None, told: bool) -> None:
    from data_pipeline.synthetic.identity import make_identity
    from data_pipeline.synthetic.render import occlusion, render
    from data_pipeline.synthetic.state import COLUMN, neutral

    params, _ = ship.load(ship.shipped("gate"))
    who, state = make_identity(10_000_006), neutral()
    if place is not None:
        for name, value in zip(("hand", "hand_x", "hand_y"), (1.0, *place), strict=True):
            state[COLUMN[name]] = value
    picture = np.asarray(render(who, state[None], 512)[0])
    assert (occlusion(who, state[None])[0] > 0.5) == told
    prepared: Any = Prepared(Framing(picture, (0.0, 0.0, 512.0), "given", "small"), None, None, None)  # pyright: ignore
    found = covered(prepared, Reader(ReaderConfig()), params).framing.warning
    assert found == (f"small; {WARNING}" if told else "small")
