"""Framing: geometry by hand, refusals, and our own drawn portraits."""

import cv2
import numpy as np
import pytest

from avatar_jax.media import BadInput, frame_portrait, locate_face, parse_box
from avatar_jax.media.face import CHIN_Y, HEAD_CENTRE, HEAD_HEIGHT


def picture(width: int, height: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """A green picture with a red head that fills `box`."""
    rgb = np.full((height, width, 3), (40, 160, 60), np.uint8)
    x, y, w, h = box
    cv2.ellipse(rgb, (x + w // 2, y + h // 2), (w // 2, h // 2), 0, 0, 360, (220, 60, 50), -1)
    return rgb


@pytest.mark.parametrize("box", [(200, 100, 160, 200), (6, 6, 90, 110), (500, 350, 130, 160)])
def test_the_head_lands_where_the_models_expect_it(box: tuple[int, int, int, int]) -> None:
    framing = frame_portrait(picture(640, 520, box), box, "given")
    red = cv2.resize(framing.portrait, (128, 128), interpolation=cv2.INTER_AREA)[..., 0] > 150
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    visible_top = rows[0] > 0
    assert abs((columns[0] + columns[-1] + 1) / 256 - HEAD_CENTRE[0]) < 0.02
    assert abs((rows[-1] + 1) / 128 - CHIN_Y) < 0.02
    assert visible_top and abs((rows[-1] + 1 - rows[0]) / 128 - HEAD_HEIGHT) < 0.03


def test_the_portrait_keeps_its_own_size_up_to_1024() -> None:
    small = frame_portrait(picture(640, 520, (200, 100, 160, 200)), (200, 100, 160, 200), "given")
    assert small.portrait.shape == (408, 408, 3)
    large = frame_portrait(np.full((3000, 3000, 3), 90, np.uint8), (500, 500, 1500, 1900), "given")
    assert large.portrait.shape == (1024, 1024, 3)


def test_pixels_are_not_touched_where_the_crop_needs_no_scaling() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (400, 400, 3)).astype(np.uint8)
    height = 200 * HEAD_HEIGHT
    box = (200 - 40.0, 100 + CHIN_Y * 200 - height, 80.0, height)
    framing = frame_portrait(rgb, box, "given")
    np.testing.assert_array_equal(framing.portrait, rgb[100:300, 100:300])


def test_outside_the_picture_the_edge_is_repeated() -> None:
    framing = frame_portrait(picture(300, 300, (50, 20, 200, 250)), (50, 20, 200, 250), "given")
    assert (np.abs(framing.portrait[0, 0].astype(int) - (40, 160, 60)) < 3).all()


@pytest.mark.parametrize("name", ["blank", "noise"])
def test_nothing_like_a_face_is_refused(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    rgb = {"blank": np.full((200, 200, 3), 200, np.uint8), "noise": noise}[name]
    box, how = locate_face(rgb)
    with pytest.raises(BadInput, match="face"):
        frame_portrait(rgb, box, how)


def test_when_unsure_the_picture_is_centred_with_a_warning() -> None:
    rgb = picture(300, 400, (80, 60, 120, 160))
    box, how = locate_face(rgb)
    framing = frame_portrait(rgb, box, how)
    assert framing.how == "centred" and "no face" in framing.warning
    assert framing.portrait.shape == (300, 300, 3)


def test_the_reader_is_asked_where_the_detector_sees_nothing() -> None:
    rgb = picture(300, 400, (80, 60, 120, 160))
    assert locate_face(rgb, lambda _: (80, 60, 120, 160)) == ((80, 60, 120, 160), "reader")


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "0,0,0,0", "nan,0,50,50", "900,900,50,50", "1,2,3,4,5"])
def test_a_bad_face_option(text: str) -> None:
    with pytest.raises(BadInput, match="--face"):
        parse_box(text, (640, 480))


def test_a_good_face_option() -> None:
    assert parse_box("120,80,300, 360", (640, 480)) == (120, 80, 300, 360)


def test_a_picture_that_is_framed_already_is_left_alone() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    off = (0.31 * 256, 0.21 * 256, 0.38 * 256, 0.46 * 256)
    np.testing.assert_array_equal(frame_portrait(rgb, off, "detector").portrait, rgb)


@pytest.mark.parametrize("seed", range(6))
def test_our_own_portraits_keep_their_framing(seed: int) -> None:
    from data_pipeline.synthetic.identity import make_identity
    from data_pipeline.synthetic.render import landmarks, portrait

    identity = make_identity(10_000_000 + seed)
    rgb = portrait(identity, 256)
    x0, y0, x1, y1 = (256 * v for v in landmarks(identity)["face_box"])
    box, how = locate_face(rgb, lambda _: (x0, y0, x1 - x0, y1 - y0))
    assert how == "reader"
    np.testing.assert_array_equal(frame_portrait(rgb, box, how).portrait, rgb)
