"""SyncNet on a stream: the same embeddings as of the whole clip, and the offset that was planted."""

from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from avatar_jax.metrics.av_offset import overlap_distances, padded_distances
from avatar_jax.metrics.syncnet_read import embed_stream, read_sync
from avatar_jax.models import syncnet as net

FRAMES = 50


@cache
def parameters() -> Any:
    seen, heard = jax.ShapeDtypeStruct((1, 5, 40, 40, 1), float), jax.ShapeDtypeStruct((1, 20, 13), float)
    shapes = jax.eval_shape(net.SyncNet(net.SMALL).init, jax.random.key(0), seen, heard)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(np.float32), shapes)


def clip() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (FRAMES, 40, 40, 1), dtype=np.uint8), rng.normal(size=(4 * FRAMES, 13))


def test_streaming_changes_nothing() -> None:
    crops, heard = clip()
    whole = net.embed_clip(net.SMALL, parameters(), crops, heard)
    streamed = embed_stream(net.SMALL, parameters(), iter(crops), heard)
    for a, b in zip(whole, streamed, strict=True):
        assert a.shape == b.shape == (FRAMES - 5, 64)
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_sound_that_ends_early_ends_the_windows() -> None:
    crops, heard = clip()
    seen, spoken = embed_stream(net.SMALL, parameters(), iter(crops), heard[:100])
    assert len(seen) == len(spoken) == net.windows(FRAMES, 100) == 21


@pytest.mark.parametrize("shift", [-4, 0, 3])
def test_a_planted_offset_is_found(monkeypatch: pytest.MonkeyPatch, shift: int) -> None:
    """Towers that pass a number through: the frame's own, and the sound's, `shift` frames early."""
    own = np.random.default_rng(0).normal(size=(FRAMES, 64)).astype(np.float32)

    def towers(config: Any, params: Any, crops: np.ndarray, heard: np.ndarray, batch: int) -> tuple[Any, Any]:
        count = net.windows(len(crops), len(heard))
        places = crops[:count, 0, 0, 0].astype(int)
        return own[places], np.roll(own, -shift, axis=0)[places]

    monkeypatch.setattr("avatar_jax.metrics.syncnet_read.embed_clip", towers)
    crops = np.arange(FRAMES, dtype=np.uint8)[:, None, None, None]
    for distances in (padded_distances, overlap_distances):
        found = read_sync(None, iter(crops), np.zeros(16_000 * 2, np.float32), net.SMALL, mean_distances=distances)
        assert found is not None and found.offset == shift and found.distance < 1 < found.confidence
    assert read_sync(None, iter(crops[:15]), np.zeros(16_000, np.float32), net.SMALL) is None
