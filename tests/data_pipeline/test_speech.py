"""Synthetic speech: labels, mouth shapes, determinism, augmentation."""

import numpy as np
import pytest

from data_pipeline.synthetic import text_corpus, voice
from data_pipeline.synthetic.augment import augment
from data_pipeline.synthetic.phonemes import (
    CLASSES,
    PHONES,
    Phone,
    close_before_burst,
    letters,
    phone_classes,
    split_phones,
    visemes,
)
from data_pipeline.synthetic.speech import SAMPLE_RATE, speak


def test_letters_drop_marks_and_split_compounds() -> None:
    assert letters("ˈoʊ") == ["o", "ʊ"]
    assert letters("tɕh") == ["t", "ɕ", "h"]
    assert letters("ä") == ["a"] and letters("ç") == ["ç"] and letters("e̞") == ["e"]
    assert letters("(en)") == [] and letters("ʲ") == []
    assert len(PHONES) <= CLASSES


def test_a_mark_shares_its_time_vowels_twice() -> None:
    assert split_phones([("ma", 1.0, 1.3)]) == [
        Phone("m", 1.0, pytest.approx(1.1)),
        Phone("a", pytest.approx(1.1), 1.3),
    ]


def test_voiceless_stops_start_at_their_closure() -> None:
    before, stop = close_before_burst([Phone("a", 0.1, 0.4), Phone("p", 0.4, 0.44)])
    assert stop.start == pytest.approx(0.355) and before.end == stop.start
    assert close_before_burst([Phone("b", 0.4, 0.44)]) == [Phone("b", 0.4, 0.44)]


def test_classes_name_the_phone_that_sounds() -> None:
    phones = [Phone("a", 0.1, 0.2), Phone("b", 0.2, 0.3)]
    ids = phone_classes(phones, np.array([0.0, 0.15, 0.25, 0.5]))
    assert [PHONES[i] for i in ids] == ["_", "a", "b", "_"]


@pytest.mark.parametrize("lip", ["p", "b", "m"])
def test_lips_close_between_open_vowels(lip: str) -> None:
    phones = [Phone("a", 0.1, 0.3), Phone(lip, 0.3, 0.38), Phone("a", 0.38, 0.6)]
    times = np.arange(0, 0.8, 0.005)
    opening = visemes(phones, times)[:, 0]
    inside = (times > 0.31) & (times < 0.345)
    assert opening[inside].max() < 0.02
    assert opening[(times > 0.17) & (times < 0.22)].min() > 0.8
    assert opening[times < 0.005].max() < 0.25 and opening[-1] < 0.05
    assert np.abs(np.diff(opening)).max() < 0.25


def test_neighbours_colour_a_weak_consonant() -> None:
    times = np.array([0.14])
    rounded, spread = (
        visemes([Phone(v, 0.0, 0.1), Phone("k", 0.1, 0.18), Phone(v, 0.18, 0.3)], times)[0, 1] for v in "ui"
    )
    assert rounded < -0.3 and spread > 0.3


def test_same_seed_same_clip_whatever_came_before() -> None:
    first = speak(1)
    speak(2)
    again = speak(1)
    assert np.array_equal(first.wave, again.wave) and first.phones == again.phones


def test_clips_have_ordered_phones_where_there_is_sound() -> None:
    modes, languages = set(), set()
    for seed in range(12):
        clip = speak(seed, "heldout", seconds=(3.0, 4.0))
        modes.add(clip.mode)
        languages.add(clip.language)
        assert clip.wave.dtype == np.int16 and 3.0 <= clip.seconds <= 4.0
        starts = [p.start for p in clip.phones]
        assert starts == sorted(starts) and all(0 <= p.start < p.end <= clip.seconds + 1e-6 for p in clip.phones)
        if clip.mode == "silence":
            assert not clip.phones
            continue
        assert clip.voice.split("+")[1] in voice.HELDOUT_VARIANTS
        speaking = phone_classes(clip.phones, np.arange(len(clip.wave)) / SAMPLE_RATE) > 0
        power = clip.wave.astype(np.float64) ** 2
        assert power[speaking].mean() > 3 * power[~speaking].mean()
    assert languages == {"en", "zh", "ja", "ko"} and "song" in modes


def test_unknown_split_and_voice_are_named() -> None:
    with pytest.raises(ValueError, match="split"):
        speak(0, "test")
    with pytest.raises(ValueError, match="no-such"):
        voice.espeak_child().say(voice.Request("hello", "no-such-language"))


def test_a_dead_child_is_replaced() -> None:
    child = voice.EspeakChild()
    child.say(voice.Request("hello", "en-us"))
    child._process.kill()
    child._process.wait()
    with pytest.raises(voice.SynthesisCrash):
        child.say(voice.Request("hello", "en-us"))
    assert len(child.say(voice.Request("hello", "en-us")).phones) == 5
    child.close()


def test_heldout_voices_are_never_trained_on() -> None:
    assert not set(voice.HELDOUT_VARIANTS) & set(voice.TRAIN_VARIANTS)
    assert not set(voice.FLITE_HELDOUT) & set(voice.FLITE_TRAIN)
    assert len(voice.TRAIN_VARIANTS) >= 40


def test_augmentation_keeps_phones_on_their_sound() -> None:
    wave = np.zeros(SAMPLE_RATE, np.int16)
    wave[8000:9600] = 8000 * np.sign(np.sin(np.arange(1600)))
    for seed in range(6):
        sound, (phone,) = augment(wave, [Phone("a", 0.5, 0.6)], np.random.default_rng(seed))
        assert sound.dtype == np.float32 and np.abs(sound).max() <= 1 and np.isfinite(sound).all()
        inside = slice(round(phone.start * SAMPLE_RATE), round(phone.end * SAMPLE_RATE))
        assert np.square(sound[inside]).mean() > 3 * np.square(sound[: inside.start]).mean()


def test_corpus_speaks_four_languages() -> None:
    for language in voice.LANGUAGES:
        assert len(text_corpus.sentences(language)) >= 25 and len(text_corpus.words(language)) >= 80
    assert len(text_corpus.words("en")) > 2500
