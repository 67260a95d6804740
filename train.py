"""Train the networks of a config, one stage after the other; run again to go on where it stopped.

    python train.py --config configs/embedded.py --out runs/embedded [--stage NAME] [--steps N]
        [--init DIR|shipped] [--mesh data=2] [--dotted.override=value]
    python train.py --config configs/embedded.py --out runs/embedded --stage codec --export [FOLDER]
    python train.py --ablate embedded --out runs/ablations [--seeds 0]      the arms of configs/ablations/embedded.py
    python train.py ... --coordinator HOST:PORT --processes N --process I      one run over N processes

OUT/NAME holds a stage's checkpoints, metrics.jsonl, events/ for TensorBoard, config.json and result.json (scores, and
whether its gate was passed); OUT/NAME.safetensors is what sampling and later stages read. `--export` writes that file
now, from the newest checkpoint (the best one where --loop.best says how to tell), into FOLDER (default OUT). Exit
status: 0, 1 where a loss is not finite or a process is lost, 2 for a mistake in the request, 130 if interrupted.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import flax.linen as nn
import jax
from absl import flags
from flax.traverse_util import flatten_dict, unflatten_dict

from avatar_jax import compilation, distributed
from avatar_jax import config as configs
from avatar_jax.media import BadInput, unwritable
from avatar_jax.mesh import fetched, make_mesh, set_host_devices
from avatar_jax.peers import PeerLost
from avatar_jax.training import ablation, loop
from avatar_jax.training.checkpoint import Checkpoints
from avatar_jax.training.hooks import Clock, Hook
from avatar_jax.training.pace import peak_of
from avatar_jax.training.run_folder import described, write_json
from avatar_jax.training.stage import CannotTrain, Params, Stage
from avatar_jax.training.state import TrainState, averaged, layout
from avatar_jax.weights import ship
from configs.stages import ON_REQUEST, STAGES


class Parser(argparse.ArgumentParser):
    """Mistakes are told in three lines, like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput("wrong arguments", message, "see the first lines of train.py", "python train.py --help")


def parser() -> Parser:
    p = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", type=Path, help="Python file that defines CONFIG")
    what.add_argument("--ablate", metavar="NAME", help="run all arms of configs/ablations/NAME.py")
    p.add_argument("--out", required=True, type=Path, help="folder of the run; an existing one is continued")
    p.add_argument("--stage", choices=list(STAGES), help="train this one alone")
    p.add_argument("--steps", type=int, help="instead of the configured number")
    p.add_argument("--seeds", help="of --ablate: only these, for example 0,1; processes with others may share --out")
    p.add_argument("--init", help="start from these weights: a folder of NAME.safetensors, such a file, or 'shipped'")
    p.add_argument("--mesh", default="", help="for example data=2; on CPU this many host devices are made")
    p.add_argument("--export", nargs="?", const="", metavar="FOLDER", help="write weights only, do not train")
    p.add_argument("--profile", type=Path, metavar="DIR", help="write a trace of some steps for XProf to this folder")
    p.add_argument("--profile-steps", default="3,5", metavar="A,B", help="of which steps of this call; default 3,5")
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
    except (PeerLost, FloatingPointError) as failure:
        print(failure, file=sys.stderr)
    except loop.Interrupted as stop:
        print(f"{stop}; run the same command to go on", file=sys.stderr)
        status = 130
    finally:
        distributed.leave(status)
    return status


def run(arguments: list[str] | None) -> None:
    p = parser()
    args, rest = p.parse_known_args(arguments)
    options = list(p._option_string_actions)
    if args.steps is not None and args.steps < 1:
        raise BadInput("wrong --steps", args.steps, "one step or more", "--steps 100")
    if args.seeds is not None and not args.ablate:
        raise BadInput(
            "wrong --seeds", args.seeds, "it belongs to --ablate", "a config's seeds are --loop.seed and others"
        )
    if args.ablate:
        study = configs.load(ablation.path_of(args.ablate))
        seeds_of(study, args.seeds)
        # A mistake in any arm is told before the first one is trained.
        arms = {arm.name: arm_config(study, arm, 0, args, rest, options) for arm in study.arms}
        config, names = next(iter(arms.values())), [study.stage]
    else:
        study, config = None, configs.override(configs.load(args.config), rest, options)
        named = [name for name in STAGES if hasattr(config, name) and name not in ON_REQUEST]
        names = [args.stage] if args.stage else named
        config = config if args.steps is None else with_steps(config, names, args.steps)
    if missing := [name for name in names if not hasattr(config, name)]:
        rule, fix = "a config has a value for each of its stages", f"--stage of {args.config}"
        raise BadInput("no such stage in this config", missing[0], rule, fix)
    mesh = begun(args)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        if study is not None:
            ablate(study, args, rest, options, mesh)
        for name in names if study is None else ():
            if args.export is not None:
                export(built(name, config, args.out), config.loop, args, mesh)
            elif distributed.from_first(partial(finished, args.out, name, getattr(config, name).optimiser.steps)):
                print(f"{name}: trained already ({args.out / name / 'result.json'})")
            else:
                train(built(name, config, args.out), config, args, mesh)
    except OSError as error:
        raise unwritable(args.out, error) from error


def begun(args: argparse.Namespace) -> jax.sharding.Mesh:
    """The mesh, all processes met."""
    try:
        set_host_devices(args.mesh, args.processes or 1)
        distributed.join(args)
        mesh = make_mesh(args.mesh)
        distributed.all_take_part(mesh)
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput("wrong mesh", args.mesh, error, "for example --mesh data=2") from error
    return mesh


def with_steps(config: Any, names: list[str], steps: int) -> Any:
    for name in names:
        stage = getattr(config, name)
        config = replace(config, **{name: replace(stage, optimiser=replace(stage.optimiser, steps=steps))})
    return config


def built(name: str, config: Any, out: Path) -> Stage:
    """The stage with its data open.

    Raises:
        BadInput: with the command that makes it, if its data is not there or cannot be read.
    """
    try:
        return STAGES[name](config, out)
    except FileNotFoundError as error:
        rule = "a stage reads what `python -m data_pipeline` made before"
        raise BadInput(f"no data for {name}", error, rule, "make train-embedded, or --data=FOLDER") from error


def finished(out: Path, name: str, steps: int) -> bool:
    result = out / name / "result.json"
    return (
        result.exists() and json.loads(result.read_text())["steps"] >= steps and (out / f"{name}.safetensors").exists()
    )


def train(stage: Stage, config: Any, args: argparse.Namespace, mesh: jax.sharding.Mesh) -> None:
    """Train to the end, score, judge, export."""
    folder = args.out / stage.name
    start = ship.load(weights_of(args.init, stage.name))[0] if args.init else None
    hooks: list[Hook] = [distributed.profiled_steps(args.profile, *profiled(args))] if args.profile else []
    if stage.name == "dit" and config.loop.sample_every and jax.process_count() == 1:
        hooks.append(partial(samples, stage, args.out, config.loop.sample_every))
    state = loop.run(stage, folder, mesh, config.loop, start, hooks, counter(mesh))
    params = stage.finish(fetched(averaged(state)))
    scores = stage.evaluate(params)
    if not distributed.first():
        distributed.meet(f"{stage.name} is written")
        return
    took = Clock.at(folder / "metrics.jsonl", int(state.step)).read()
    passed = stage.gate(scores)
    write_json(folder / "result.json", {"steps": int(state.step), "scores": scores, "gate_passed": passed} | took)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
    print(f"{stage.name}: {int(state.step)} steps, {took['cpu_seconds']:.0f} CPU-s; {shown}")
    print(f"{stage.name}: gate {'passed' if passed else 'NOT passed: what is built on it will be worse'}")
    write_weights(stage, params, args.out, args.out)
    distributed.meet(f"{stage.name} is written")


def profiled(args: argparse.Namespace) -> tuple[int, int]:
    first, _, last = args.profile_steps.partition(",")
    if not (first.isdigit() and last.isdigit() and 2 <= int(first) <= int(last)):
        rule = "A,B: first and last step, the second one or later, as the first compiles"
        raise BadInput("--profile-steps", args.profile_steps, rule, "--profile-steps 100,105")
    return int(first) - 1, int(last)


def counter(mesh: jax.sharding.Mesh) -> loop.Count | None:
    """Counts a step's products, where there is a peak to compare with."""
    from tpu.work import traced_flops

    return traced_flops if peak_of(mesh.devices.ravel()[0].device_kind, 1) else None


def samples(stage: Stage, out: Path, every: int, step: int, state: TrainState) -> dict[str, float] | None:
    """A hook: two held-out cases through the whole cascade with the averaged weights of now, side by side in
    OUT/dit/samples/STEP.mp4 with sound, and what the judge reads from them."""
    if step % every:
        return None
    from avatar_jax.evaluation import embedded
    from avatar_jax.evaluation.grids import side_by_side
    from avatar_jax.evaluation.making import EmbeddedConfig

    folder = out / stage.name / "samples"
    weights, cases = folder / "weights", folder / "cases"
    weights.mkdir(parents=True, exist_ok=True)
    for name in ("audio", "layers", "codec", "gate", "judge"):
        link, own = weights / f"{name}.safetensors", out / f"{name}.safetensors"
        link.unlink(missing_ok=True)
        link.symlink_to((own if own.is_file() else ship.shipped(name)).absolute())
    ship.export(stage.finish(fetched(averaged(state))), weights / "dit.safetensors", note_of(stage, out))
    with jax.set_mesh(make_mesh()):
        found = embedded.run(EmbeddedConfig(cases=2, seconds=2.0, flite=0, out=cases, weights=weights, portraits=16))
    videos = [cases / f"case_{number:03d}" / "video" / "video.mp4" for number in (0, 1)]
    fps = json.loads((videos[0].parent / "report.json").read_text())["fps"]
    side_by_side(videos, cases / "case_000" / "speech.wav", folder / f"{step:06d}.mp4", fps)
    return {f"heldout_{name}": float(found[name]) for name in ("sync_corr", "identity_top1") if name in found}


def arm_config(
    study: ablation.Ablation, arm: ablation.Arm, seed: int, args: argparse.Namespace, rest: list[str], known: list[str]
) -> Any:
    """The config of one arm with one seed."""
    seeds = (f"--{study.stage}.seed={seed}", f"--loop.seed={seed}", f"--{study.stage}.optimiser.steps={study.steps}")
    config = configs.override(configs.load(study.config), [*study.common, *seeds, *arm.changes, *rest], known)
    return config if args.steps is None else with_steps(config, [study.stage], args.steps)


def seeds_of(study: ablation.Ablation, asked: str | None) -> Sequence[int]:
    """Those of `--seeds`, else the set's."""
    if asked is None:
        return study.seeds
    known = {str(seed): seed for seed in study.seeds}
    if unknown := [seed for seed in asked.split(",") if seed not in known]:
        raise BadInput(
            "wrong --seeds", unknown[0], f"seeds of this set are {', '.join(known)}", f"--seeds {next(iter(known))}"
        )
    return [known[seed] for seed in asked.split(",")]


def ablate(
    study: ablation.Ablation, args: argparse.Namespace, rest: list[str], known: list[str], mesh: jax.sharding.Mesh
) -> None:
    """Run the arms that have no row yet."""
    start = flatten_dict(ship.load(weights_of(args.init or study.start, study.stage))[0], sep="/")

    def run_arm(arm: ablation.Arm, seed: int, folder: Path) -> ablation.Row:
        config = arm_config(study, arm, seed, args, rest, known)
        stage = built(study.stage, config, args.out)
        owner = next((a for a in study.arms if a.name == arm.scored_like), arm)
        whose = folder if owner is arm else ablation.folder_of(args.out, owner, seed)
        if owner is not arm:
            stage_of_owner = built(study.stage, arm_config(study, owner, seed, args, rest, known), args.out)
            state, new = newest(stage_of_owner, whose, mesh), []
        else:
            fresh = flatten_dict(nn.unbox(jax.device_get(jax.jit(stage.init)(jax.random.key(seed)))), sep="/")
            begin, new = ablation.grown(fresh, {} if arm.scratch else start)
            state = loop.run(stage, folder, mesh, config.loop, unflatten_dict(begin, sep="/"))
        scores = stage.evaluate(stage.finish(fetched(averaged(state))))
        took = Clock.at(whose / "metrics.jsonl", int(state.step)).read()
        more = {"scores": scores, "fresh_arrays": len(new), "scratch": arm.scratch, "scored_like": arm.scored_like}
        return {"steps": int(state.step), "git": git_revision()} | took | more

    for row in ablation.run_all(study, args.out, run_arm, seeds_of(study, args.seeds), distributed.first()):
        shown = ", ".join(f"{name} {row['scores'].get(name, float('nan')):.4g}" for name in study.columns)
        print(f"{row['arm']}, seed {row['seed']}: {shown}")
    print(f"{args.out / 'table.md'}")


def weights_of(init: str, name: str) -> Path:
    """The file that `--init` means for a stage."""
    if init == "shipped":
        return ship.shipped(name)
    return Path(init) / f"{name}.safetensors" if Path(init).is_dir() else Path(init)


def newest(stage: Stage, folder: Path, mesh: jax.sharding.Mesh, best: bool = False) -> TrainState:
    """The state of the newest checkpoint, or of the best where one was measured."""
    if not (folder / "checkpoints").is_dir():
        raise BadInput(f"nothing to export for {stage.name}", folder, "a run with a checkpoint", "train it first")
    with Checkpoints(folder) as checkpoints:
        step = checkpoints.best_step() if best else None
        return checkpoints.restore(layout(stage, jax.random.key(0), mesh), step).state


def export(stage: Stage, config: loop.LoopConfig, args: argparse.Namespace, mesh: jax.sharding.Mesh) -> None:
    state = newest(stage, args.out / stage.name, mesh, bool(config.best))
    params = stage.finish(fetched(averaged(state)))
    if distributed.first():
        write_weights(stage, params, args.out, Path(args.export or args.out))


def note_of(stage: Stage, out: Path) -> dict[str, Any]:
    """Where weights come from."""
    result = out / stage.name / "result.json"
    return {
        "stage": stage.name,
        "config": described(stage.config),
        "git": git_revision(),
        "result": json.loads(result.read_text()) if result.exists() else None,
    }


def write_weights(stage: Any, params: Params, out: Path, to: Path) -> None:
    """NAME.safetensors with the note of where it comes from; of public models the same under public names, too."""
    path = to / f"{stage.name}.safetensors"
    size = ship.export(params, path, note_of(stage, out))
    print(f"{stage.name}: {path} ({size / 1e6:.1f} MB)")
    if stage.name == "video":
        from avatar_jax.weights import trained

        for name, arrays in trained.files(stage.config.family, stage.model, params).items():
            print(f"{stage.name}: {to / name} ({trained.write(to / name, arrays) / 1e6:.1f} MB)")


def git_revision() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    # grain reads absl flags, which only `absl.app.run` parses.
    flags.FLAGS.mark_as_parsed()
    compilation.keep_programs()
    sys.exit(main())
