"""The spoilt reference of negative-frame guidance: each fault alone does what its name says."""

from dataclasses import replace

import numpy as np
import pytest

from avatar_jax.media.corruption import GREY, SPOTLESS, corrupted


@pytest.fixture
def portrait() -> np.ndarray:
    """A soft coloured square with fine stripes, away from black and white so that nothing is clipped."""
    rows, columns = np.indices((120, 90))
    stripes = 12 * np.sin(columns * 1.5)
    return np.stack([120 + stripes, 110 + 0.2 * rows, 100 + stripes + 0.1 * columns], axis=-1).astype(np.uint8)


def spoilt(portrait: np.ndarray, seed: int = 0, **faults: float) -> np.ndarray:
    return corrupted(portrait, np.random.default_rng(seed), replace(SPOTLESS, **faults)).astype(np.float64)


def test_without_faults_nothing_changes(portrait: np.ndarray) -> None:
    np.testing.assert_array_equal(spoilt(portrait), portrait)


def test_same_seed_same_picture(portrait: np.ndarray) -> None:
    first, again, other = (corrupted(portrait, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == portrait.shape and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 3


def test_blur_removes_fine_texture(portrait: np.ndarray) -> None:
    stripes = np.abs(np.diff(portrait[..., 0].astype(float), axis=1)).mean()
    assert np.abs(np.diff(spoilt(portrait, blur=0.05)[..., 0], axis=1)).mean() < 0.2 * stripes


def test_contrast_and_saturation_are_the_factors_asked_for(portrait: np.ndarray) -> None:
    brightness = portrait @ GREY
    assert (spoilt(portrait, contrast=2.0) @ GREY).std() == pytest.approx(2 * brightness.std(), rel=0.02)
    colourful = spoilt(portrait, saturation=2.0)
    np.testing.assert_allclose(colourful @ GREY, brightness, atol=1)
    assert (colourful[..., 0] - colourful[..., 2]).mean() == pytest.approx(
        2 * (portrait[..., 0].astype(float) - portrait[..., 2]).mean(), rel=0.1
    )


def test_tint_moves_each_channel_by_its_own_amount(portrait: np.ndarray) -> None:
    moved = spoilt(portrait, tint=0.1) - portrait
    amounts = moved.mean(axis=(0, 1))
    assert np.abs(moved - amounts).max() <= 1
    assert np.ptp(amounts) > 2


def test_distortion_keeps_colours_and_moves_pixels_as_far_as_asked() -> None:
    ramp = np.repeat(np.arange(0, 250, dtype=np.uint8)[None, :, None], 250, axis=0).repeat(3, axis=2)
    moved = (spoilt(ramp, ripple=0.02) - ramp)[40:-40, 40:-40]
    assert np.std(moved) == pytest.approx(5, rel=0.3)
    assert np.abs(np.diff(moved, axis=0)).max() < 6, "the field is smooth"
