"""Train the networks of a config, one stage after the other; run again to go on where it stopped.

    python train.py --config configs/embedded.py --out runs/embedded [--stage NAME] [--steps N]
        [--init DIR|shipped] [--mesh data=2] [--dotted.override=value]
    python train.py --config configs/embedded.py --out runs/embedded --stage codec --export [FOLDER]
    python train.py ... --coordinator HOST:PORT --processes N --process I      one run over N processes

OUT/NAME holds a stage's checkpoints, metrics.jsonl, config.json and result.json (scores, and whether its gate was
passed); OUT/NAME.safetensors is what sampling and later stages read. `--export` writes that file now, from the newest
checkpoint, into FOLDER (default OUT). Exit status: 0, 2 for a mistake in the request, 130 if interrupted.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jax
from absl import flags

from avatar_jax import compilation, distributed
from avatar_jax import config as configs
from avatar_jax.media import BadInput, unwritable
from avatar_jax.mesh import fetched, make_mesh, set_host_devices
from avatar_jax.peers import PeerLost
from avatar_jax.training import loop
from avatar_jax.training.checkpoint import Checkpoints, described, write_json
from avatar_jax.training.hooks import MetricsFile
from avatar_jax.training.stage import CannotTrain, Params, Stage
from avatar_jax.training.state import TrainState, layout
from avatar_jax.weights import ship


def audio_stage(config: Any) -> Stage:
    from avatar_jax.training.audio_stage import AudioStage, load_audio_set

    train, heldout = (load_audio_set(Path(config.data) / "audio", split) for split in ("train", "heldout"))
    return AudioStage(config.audio, train, heldout)


def layers_stage(config: Any) -> Stage:
    from avatar_jax.training.layers_stage import LayersStage
    from data_pipeline.synthetic.faces import portrait_batch

    return LayersStage(config.layers, portrait_batch)


def codec_stage(config: Any) -> Stage:
    from avatar_jax.training.codec_stage import CodecStage
    from data_pipeline.synthetic.faces import face_batch

    return CodecStage(config.codec, face_batch)


def gate_stage(config: Any) -> Stage:
    from avatar_jax.training.reader_stage import ReaderStage
    from avatar_jax.training.stills import Stills

    return ReaderStage(config.gate, Stills.open(Path(config.data) / "stills"))


def judge_stage(config: Any) -> Stage:
    from avatar_jax.metrics.judging import judge_frames
    from avatar_jax.training.judge_stage import JudgeStage
    from data_pipeline.synthetic.judged import judged_batch

    return JudgeStage(config.judge, judged_batch, judge_frames)


def dit_stage(config: Any) -> Stage:
    from avatar_jax.training.dit_stage import DitStage
    from data_pipeline.source import RecordSource
    from data_pipeline.synthetic.windows import ClipWindows

    train, heldout = (RecordSource(Path(config.data) / name) for name in ("latents", "latents-heldout"))
    return DitStage(config.dit, partial(window_batches, train, config.dit), ClipWindows(train), ClipWindows(heldout))


def window_batches(
    records: Sequence[Any], config: Any, draw: Any, start: int, index: int = 0, count: int = 1
) -> Iterator[dict[str, Any]]:
    """`training.dit_stage.Feed`: grain shuffles the clips, cuts a window from each and batches one process's share."""
    from data_pipeline.loader import LoaderConfig, batches
    from data_pipeline.synthetic.windows import sample_window

    def window(record: Any, rng: Any) -> dict[str, Any]:
        stride, known_T = draw(rng)
        return {**sample_window(record, rng, stride, config.model.frames), "known_T": known_T}

    loader = LoaderConfig(batch=config.batch, seed=config.seed)
    return batches(records, loader, window, start, index, count)


STAGES: dict[str, Callable[[Any], Stage]] = {
    "audio": audio_stage,
    "layers": layers_stage,
    "codec": codec_stage,
    "gate": gate_stage,
    "judge": judge_stage,
    "dit": dit_stage,
}
"""Stages in the order in which they build on each other, with the data that each of them reads."""


class Parser(argparse.ArgumentParser):
    """Mistakes are told in three lines, like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput("wrong arguments", message, "see the first lines of train.py", "python train.py --help")


def parser() -> Parser:
    p = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    p.add_argument("--config", required=True, type=Path, help="Python file that defines CONFIG")
    p.add_argument("--out", required=True, type=Path, help="folder of the run; an existing one is continued")
    p.add_argument("--stage", choices=list(STAGES), help="train this one alone")
    p.add_argument("--steps", type=int, help="instead of the configured number")
    p.add_argument("--init", help="start from these weights: a folder of NAME.safetensors, such a file, or 'shipped'")
    p.add_argument("--mesh", default="", help="for example data=2; on CPU this many host devices are made")
    p.add_argument("--export", nargs="?", const="", metavar="FOLDER", help="write weights only, do not train")
    p.add_argument("--profile", type=Path, metavar="DIR", help="write a trace of steps 3 to 5 for XProf to this folder")
    distributed.add_flags(p)
    return p


def main(arguments: list[str] | None = None) -> int:
    status = 1
    try:
        run(arguments)
        status = 0
    except (BadInput, configs.ConfigError, CannotTrain, ship.WeightsError) as mistake:
        print(mistake, file=sys.stderr)
        status = 2
    except PeerLost as lost:
        print(lost, file=sys.stderr)
    except loop.Interrupted as stop:
        print(f"{stop}; run the same command to go on", file=sys.stderr)
        status = 130
    finally:
        distributed.leave(status)
    return status


def run(arguments: list[str] | None) -> None:
    p = parser()
    args, rest = p.parse_known_args(arguments)
    config = configs.override(configs.load(args.config), rest, list(p._option_string_actions))
    names = [args.stage] if args.stage else [name for name in STAGES if hasattr(config, name)]
    if args.steps is not None:
        config = with_steps(config, names, args.steps)
    try:
        set_host_devices(args.mesh, args.processes or 1)
        distributed.join(args)
        mesh = make_mesh(args.mesh)
        distributed.all_take_part(mesh)
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput("wrong mesh", args.mesh, error, "for example --mesh data=2") from error
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(args.out, error) from error
    for name in names:
        if args.export is not None:
            stage = built(name, config)
            state = newest(stage, args.out / name, mesh)
            params = stage.finish(fetched(state.ema))
            if distributed.first():
                write_weights(stage, params, args.out, Path(args.export or args.out))
        elif distributed.from_first(partial(finished, args.out, name, getattr(config, name).optimiser.steps)):
            print(f"{name}: trained already ({args.out / name / 'result.json'})")
        else:
            train(built(name, config), config.loop, args, mesh)


def with_steps(config: Any, names: list[str], steps: int) -> Any:
    if steps < 1:
        raise BadInput("wrong --steps", steps, "one step or more", "--steps 100")
    for name in names:
        stage = getattr(config, name)
        config = replace(config, **{name: replace(stage, optimiser=replace(stage.optimiser, steps=steps))})
    return config


def built(name: str, config: Any) -> Stage:
    """The stage with its data open.

    Raises:
        BadInput: with the command that makes it, if its data is not there.
    """
    try:
        return STAGES[name](config)
    except FileNotFoundError as error:
        rule = "a stage reads what `python -m data_pipeline synthetic` made before"
        raise BadInput(f"no data for {name}", error, rule, "make train-embedded, or --data=FOLDER") from error


def finished(out: Path, name: str, steps: int) -> bool:
    result = out / name / "result.json"
    return (
        result.exists() and json.loads(result.read_text())["steps"] >= steps and (out / f"{name}.safetensors").exists()
    )


def train(stage: Stage, config: loop.LoopConfig, args: argparse.Namespace, mesh: jax.sharding.Mesh) -> None:
    """Train to the end, score, judge, export."""
    folder = args.out / stage.name
    start = ship.load(weights_of(args.init, stage.name))[0] if args.init else None
    hooks = [distributed.profiled_steps(args.profile)] if args.profile else []
    state = loop.run(stage, folder, mesh, config, start, hooks)
    params = stage.finish(fetched(state.ema))
    scores = stage.evaluate(params)
    if not distributed.first():
        distributed.meet(f"{stage.name} is written")
        return
    took = MetricsFile(folder / "metrics.jsonl", int(state.step)).clock.read()
    passed = stage.gate(scores)
    write_json(folder / "result.json", {"steps": int(state.step), "scores": scores, "gate_passed": passed} | took)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
    print(f"{stage.name}: {int(state.step)} steps, {took['cpu_seconds']:.0f} CPU-s; {shown}")
    print(f"{stage.name}: gate {'passed' if passed else 'NOT passed: what is built on it will be worse'}")
    write_weights(stage, params, args.out, args.out)
    distributed.meet(f"{stage.name} is written")


def weights_of(init: str, name: str) -> Path:
    """The file that `--init` means for a stage."""
    if init == "shipped":
        return ship.shipped(name)
    return Path(init) / f"{name}.safetensors" if Path(init).is_dir() else Path(init)


def newest(stage: Stage, folder: Path, mesh: jax.sharding.Mesh) -> TrainState:
    """The state of the newest checkpoint."""
    if not (folder / "checkpoints").is_dir():
        raise BadInput(f"nothing to export for {stage.name}", folder, "a run with a checkpoint", "train it first")
    with Checkpoints(folder) as checkpoints:
        return checkpoints.restore(layout(stage, jax.random.key(0), mesh))


def write_weights(stage: Stage, params: Params, out: Path, to: Path) -> None:
    """NAME.safetensors with the note of where it comes from."""
    result = out / stage.name / "result.json"
    note = {
        "stage": stage.name,
        "config": described(stage.config),
        "git": git_revision(),
        "result": json.loads(result.read_text()) if result.exists() else None,
    }
    path = to / f"{stage.name}.safetensors"
    size = ship.export(params, path, note)
    print(f"{stage.name}: {path} ({size / 1e6:.1f} MB)")


def git_revision() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    # grain reads absl flags, which only `absl.app.run` parses.
    flags.FLAGS.mark_as_parsed()
    compilation.keep_programs()
    sys.exit(main())
