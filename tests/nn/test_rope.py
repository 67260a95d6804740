"""Rotary positions: hand-computed angles, relative in effect, and equal to Wan's interleaved pairs."""

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.nn.rope import axis_widths, halves_from_pairs, rope_tables, rotate


def test_head_of_128_splits_as_in_wan() -> None:
    assert axis_widths(128) == (44, 42, 42)
    assert axis_widths(40) == (16, 12, 12)


def test_first_pair_turns_by_its_time() -> None:
    x = jnp.zeros((1, 1, 1, 24)).at[..., 0].set(1.0)
    turned = rotate(x, rope_tables(jnp.array([[[0.5, 3.0, 7.0]]]), 24))[0, 0, 0]
    np.testing.assert_allclose(turned[0], np.cos(0.5), rtol=1e-6)
    np.testing.assert_allclose(turned[12], np.sin(0.5), rtol=1e-6)


def test_scores_depend_on_differences_of_positions_only() -> None:
    q, k = jax.random.normal(jax.random.key(0), (2, 1, 5, 2, 24))
    positions = jax.random.uniform(jax.random.key(1), (1, 5, 3), maxval=20.0)

    def scores(shift: float) -> jax.Array:
        tables = rope_tables(positions + shift, 24)
        return jnp.einsum("BNAK,BMAK->BANM", rotate(q, tables), rotate(k, tables))

    np.testing.assert_allclose(scores(0.0), scores(2.5), atol=2e-5)


def test_halves_give_the_same_scores_as_interleaved_pairs() -> None:
    q, k = np.random.default_rng(0).normal(size=(2, 1, 5, 2, 24)).astype(np.float32)
    positions = np.random.default_rng(1).uniform(0, 9, (1, 5, 3))
    angles = np.concatenate(
        [positions[..., a, None] * 10_000.0 ** -(np.arange(0, w, 2) / w) for a, w in enumerate(axis_widths(24))], -1
    )[:, :, None]

    def interleaved(x: np.ndarray) -> np.ndarray:
        z = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
        return np.stack([z.real, z.imag], -1).reshape(x.shape)

    expected = np.einsum("bnak,bmak->banm", interleaved(q), interleaved(k))
    tables = rope_tables(jnp.asarray(positions, jnp.float32), 24)
    ours = [rotate(jnp.asarray(halves_from_pairs(x.reshape(1, 5, 48), 2).reshape(x.shape)), tables) for x in (q, k)]
    np.testing.assert_allclose(jnp.einsum("BNAK,BMAK->BANM", *ours), expected, atol=2e-5)
