"""What a portrait hides: lines go on behind a person, skin behind a face; what is seen is left alone."""

import jax.numpy as jnp
import numpy as np

from avatar_jax.models.portrait_layers import PortraitLayers, filled
from avatar_jax.sampling.completion import completed
from avatar_jax.sampling.hidden import bare, covered, uncovered
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.layers import hand_sprite, portrait_layers


def stripes(side: int) -> np.ndarray:
    """Diagonal bands of two colours."""
    y, x = np.mgrid[:side, :side]
    band = ((x + y) * 16 // side % 2).astype(bool)
    return np.where(band[..., None], [200, 220, 90], [120, 170, 60]).astype(np.uint8)


def block(side: int) -> np.ndarray:
    """Hidden: a block that reaches the lower edge, like a person."""
    hidden = np.zeros((side, side), bool)
    hidden[side // 3 :, side // 3 : 2 * side // 3] = True
    return hidden


def error(made: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    return float(np.abs(made.astype(float) - true)[where].mean())


def test_stripes_go_on_behind_what_hides_them() -> None:
    true, hidden = stripes(256), block(256)
    picture = np.where(hidden[..., None], 0, true).astype(np.uint8)
    made = completed(picture, hidden)
    smooth = np.asarray(
        255 * filled(jnp.asarray(picture / 255.0)[None], jnp.asarray(~hidden, float)[None, ..., None])[0]
    )
    assert error(made, true, hidden) < 0.35 * error(smooth, true, hidden)
    assert np.array_equal(made[~hidden], true[~hidden]), "what is seen stays, bit for bit"
    assert np.array_equal(made, completed(picture, hidden)), "no chance in it"


def test_what_was_there_before_is_not_looked_at() -> None:
    true, hidden = stripes(192), block(192)
    black, white = (completed(np.where(hidden[..., None], v, true).astype(np.uint8), hidden) for v in (0, 255))
    assert np.array_equal(black, white)


def test_nothing_hidden_or_nothing_seen_is_left_as_it_is() -> None:
    picture = stripes(128)
    assert np.array_equal(completed(picture, np.zeros((128, 128), bool)), picture)
    nearly = np.ones((128, 128), bool)
    nearly[:10] = False
    assert np.array_equal(completed(picture, nearly), picture)


def test_a_drawn_persons_background_is_nearer_to_the_truth() -> None:
    """Layers of a drawn person before stripes: the background's rim, where a moving head uncovers it."""
    who = make_identity(10_000_001)
    drawn = {name: x.astype(np.float32) / 255 for name, x in portrait_layers(who, 256).items()}
    true = drawn["background"][..., :3]
    hidden = covered(*(drawn[name][..., 3] for name in ("back", "body", "head", "face")))
    smooth = np.asarray(filled(jnp.asarray(true)[None], jnp.asarray(~hidden, jnp.float32)[None, ..., None])[0])
    layers = PortraitLayers(**drawn | {"background": smooth, "hand": hand_sprite(who, 50)})
    made = uncovered(layers).background
    assert ((made - true) ** 2)[hidden].mean() < 0.3 * ((smooth - true) ** 2)[hidden].mean()


def test_skin_behind_features_is_even_and_hair_stays_hair() -> None:
    """A head of skin below and hair above, with painted remains of a face."""
    head = np.ones((256, 256, 4), np.float32)
    head[..., :3] = [0.8, 0.6, 0.5]
    head[:96, :, :3] = [0.2, 0.1, 0.1]
    clean, features = head.copy(), np.zeros((256, 256), np.float32)
    features[120:180, 80:180] = 1
    head[130:140, 90:170, :3] = [0.7, 0.5, 0.45]
    made = bare(head, features)
    assert np.abs(made - clean).max() < 0.02
    assert np.array_equal(made[:90], clean[:90]) and np.array_equal(made[..., 3], clean[..., 3])
    assert bare(head, 0 * features) is head, "no features, nothing to do"
