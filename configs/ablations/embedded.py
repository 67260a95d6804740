"""The paper's tricks on the embedded generator: each arm goes on from the shipped weights with one thing changed.

    python train.py --ablate embedded --out runs/ablations --data=data/embedded

300 steps an arm, 450 where it begins from nothing, two seeds, about 3 CPU-hours of training; scores are read from
generated latents of held-out windows (`training.window_scores`). Topics:

mouth weighting   the loss is 11 times as strong at the mouth | the same everywhere; the readout's loss is off in both
portrait          the generator sees the portrait's latent at each patch | does not; from nothing, both
sliding window    a frame hears the sound beside it | all of the window's. The network's second way in, numbers beside
                  each patch, is off in both arms of this topic, which begin from nothing for that reason
frozen text       the attention to prompts learns | is frozen, as in the paper
empty padding     faces as they are | a third of them small, in an empty frame
director adapter  a trained attention over all shots, as the generator has it | prompts blended by their shares alone
audio fusion      attention to sound and numbers beside each patch | attention alone | numbers beside each patch alone
                  ("joint"); from nothing, all three, as is the first of them for the portrait's topic
last frame        hard | a soft tail | a picture that comes later
negative frame    guidance away from a spoilt first frame: none | 0.5. Not trained: the control's weights
audio scale       1 | 1.5 | 2 times what the sound adds. Not trained
"""

from avatar_jax.training.ablation import Ablation, Arm

NO_READOUT = "--dit.loss.face=0"
NO_ATTENTION, NO_PATCHES = "--dit.model.dit.audio_width=none", "--dit.model.sound_channels=0"
NO_PORTRAIT = "--dit.model.portrait_channels=0"
WEIGHTED, SCRATCH, ALONE = "mouth weighted, no readout", "both ways in", "attention alone"
WHOLE = "--dit.model.whole_sound=true"
FROM_NOTHING = ("--dit.optimiser.rate=2.5e-3", "--dit.optimiser.steps=450")

CONFIG = Ablation(
    config="configs/embedded.py",
    stage="dit",
    steps=300,
    seeds=(0, 1),
    common=("--dit.eval_known=true", "--dit.optimiser.rate=1e-3", "--dit.optimiser.decay=0.6"),
    columns=("mouth", "ends_mouth", "first_mouth", "explained", "face_smile", "ends_error", "mouth_swapped"),
    arms=(
        Arm("control", "all"),
        Arm(WEIGHTED, "mouth weighting", (NO_READOUT,), beside="control"),
        Arm("mouth as all else, no readout", "mouth weighting", (NO_READOUT, "--dit.loss.mouth=0"), beside=WEIGHTED),
        Arm("frozen text", "frozen text", ("--dit.optimiser.frozen=text",)),
        Arm("empty padding", "empty padding", ("--dit.padding=0.33",)),
        Arm("no director adapter", "director adapter", ("--dit.model.dit.storyline=false",)),
        Arm("soft tail", "last frame", ("--dit.last_frame=soft",)),
        Arm("shifted last frame", "last frame", ("--dit.last_frame=shifted",)),
        Arm("negative frame", "negative frame", ("--dit.eval_guidance.negative=0.5",), scored_like="control"),
        Arm("audio scale 1.5", "audio scale", ("--dit.eval_gain=1.5",), scored_like="control"),
        Arm("audio scale 2", "audio scale", ("--dit.eval_gain=2",), scored_like="control"),
        Arm(SCRATCH, "audio fusion, portrait", FROM_NOTHING, scratch=True),
        Arm("portrait unseen", "portrait", (*FROM_NOTHING, NO_PORTRAIT), scratch=True, beside=SCRATCH),
        Arm(ALONE, "audio fusion, sliding window", (*FROM_NOTHING, NO_PATCHES), scratch=True, beside=SCRATCH),
        Arm("patches alone", "audio fusion", (*FROM_NOTHING, NO_ATTENTION), scratch=True, beside=SCRATCH),
        Arm("whole sound", "sliding window", (*FROM_NOTHING, NO_PATCHES, WHOLE), scratch=True, beside=ALONE),
    ),
)
