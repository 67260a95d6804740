"""One portrait, one recording, one wish -> a talking-avatar video of exactly the recording's length.

    python sample.py --image P --audio A [--prompt T | --storyline S.json] --out DIR
        [--fps 25] [--face x,y,w,h] [--seed N] [--mesh data=4,seq=2] [--weights DIR] [--dotted.override=value]
    python sample.py --jobs jobs.jsonl --out DIR          many videos, on any number of hosts; run again to go on
    python sample.py ... --out DIR --redo-segments 3,5    re-render these sub-clips of a finished video

DIR gets video.mp4, storyline.json (with .md and .png to read), blueprint.mp4, keyframes.png, keyframes/, segments/,
report.json, manifest.json.
Overrides name values of the config's `sample`, as in --size=768; steps and guidance are the shipped student's own, so
--segment.solver.steps=8 wants --student=false beside it. Exit status: 0; 2 for bad input; 1 where a video could not be
made; 130 if interrupted (the same command goes on). Compiled programs are kept in
~/.cache/avatar_jax/jax, or in $JAX_COMPILATION_CACHE_DIR.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from avatar_jax import compilation, distributed
from avatar_jax import config as configs
from avatar_jax.director.choose import choose_director, require_director
from avatar_jax.media import BadInput, nameable
from avatar_jax.mesh import parse_mesh, set_host_devices
from avatar_jax.peers import PeerLost

ROOT = Path(__file__).resolve().parent


class Parser(argparse.ArgumentParser):
    """Mistakes are told in three lines, like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput("wrong arguments", message, "see the first lines of sample.py", "python sample.py --help")


def parser() -> Parser:
    p = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    p.add_argument("--image", type=Path, help="portrait: a picture of one face")
    p.add_argument("--audio", type=Path, help="speech or song, 0.2 seconds to 20 minutes")
    p.add_argument("--prompt", default="", help="what should happen, in English, Chinese, Japanese or Korean")
    p.add_argument("--storyline", type=Path, help="an edited storyline.json instead of a prompt")
    p.add_argument("--out", type=Path, required=True, help="folder for the video and all that belongs to it")
    p.add_argument("--jobs", type=Path, help="file with one request per line")
    p.add_argument("--redo-segments", default="", metavar="I,J", help="numbers of sub-clips to make anew")
    p.add_argument("--config", type=Path, default=ROOT / "configs" / "embedded.py")
    p.add_argument("--weights", type=Path, help="folder of weights: see the config; default: the shipped ones")
    p.add_argument(
        "--director", default="rules", help="who writes the storyline: rules, transformers:FOLDER or openai:URL[#MODEL]"
    )
    p.add_argument("--fps", default="25", help="frames per second, 12.5 to 48")
    p.add_argument("--face", metavar="X,Y,W,H", help="box of the head in the portrait, in pixels")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--mesh", default="", help="for example data=4,seq=2; on CPU this many host devices are made")
    p.add_argument("--speaker", action="append", help=argparse.SUPPRESS)
    p.add_argument("--lease", type=float, default=120.0, metavar="S", help="--jobs: a host silent so long has died")
    p.add_argument("--profile", type=Path, metavar="DIR", help="write a trace of the run for XProf to this folder")
    distributed.add_flags(p)
    return p


def main(arguments: list[str] | None = None) -> int:
    status = 1
    try:
        status = run(arguments)
    except (BadInput, configs.ConfigError) as mistake:
        print(mistake, file=sys.stderr)
        status = 2
    except PeerLost as lost:
        print(lost, file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; run the same command to go on", file=sys.stderr)
        status = 130
    finally:
        distributed.leave(status)
    return status


def run(arguments: list[str] | None) -> int:
    p = parser()
    args, rest = p.parse_known_args(arguments)
    check(args)
    loaded = configs.load(args.config)
    if not hasattr(loaded, "sample"):
        raise BadInput(f"--config {args.config}", "no `sample` in it", "it says how to sample", "configs/embedded.py")
    usual = loaded.sample
    config = configs.override(usual, rest, list(p._option_string_actions))
    try:
        parse_mesh(args.mesh)
    except ValueError as error:
        raise BadInput("--mesh", args.mesh, error, "for example --mesh data=4,seq=2") from error
    set_host_devices(args.mesh, 1 if args.jobs else args.processes or 1)
    compilation.keep_programs()
    if args.jobs is None:
        distributed.join(args)
    place = distributed.place_of(args, alone=True)

    from avatar_jax.sampling.jobs import read_jobs, run_jobs
    from avatar_jax.sampling.report import Lifeless
    from avatar_jax.sampling.request import decode

    # What is wrong with the inputs is told before anything heavy is loaded.
    if args.jobs is not None:
        from avatar_jax.sampling.claims import Worker

        jobs = read_jobs(args.jobs, args.out)
        make = maker(args, config, usual)
        # A machine that is taken back says so with SIGTERM: its job is then free for others at once.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        worker = Worker(place.index, place.count, args.lease)
        with distributed.profile(args.profile):
            return tell_jobs(run_jobs(jobs, args.out, make, worker, settings_of(args, config, make)))
    request = request_of(args)
    inputs = decode(request)
    try:
        with distributed.profile(args.profile):
            tell(maker(args, config, usual)(request, inputs=inputs), args.out)
    except Lifeless as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def settings_of(args: argparse.Namespace, config: Any, make: Any) -> dict[str, Any]:
    """What decides the videos of all jobs alike."""
    given = make.keywords
    weights = given["suite"].files if "suite" in given else given["models"].hashes
    return {"config": asdict(config), "weights": weights, "director": args.director}


def maker(args: argparse.Namespace, config: Any, usual: Any) -> Callable[..., dict[str, Any]]:
    """The `generate` of the config's kind of model, with mesh, weights and config bound to it; `usual` is the config
    without overrides."""
    import jax

    from avatar_jax.mesh import make_mesh

    try:
        # Jobs are each process's own, and so are the devices that make them.
        mesh = make_mesh(args.mesh, jax.local_devices() if args.jobs else None)
    except ValueError as error:
        raise BadInput("--mesh", args.mesh, error, "use fewer devices") from error
    if args.jobs is None:
        distributed.all_take_part(mesh)
    if hasattr(config, "family"):
        return public_maker(args, config, mesh)
    from avatar_jax.sampling.pipeline import generate
    from avatar_jax.sampling.student import check_walk

    models = replace(load_models(args.weights, mesh, config.student), director=choose_director(args.director))
    check_walk(config, usual, models.student_steps)
    return partial(generate, models=models, config=config, mesh=mesh)


def public_maker(args: argparse.Namespace, config: Any, mesh: Any) -> Callable[..., dict[str, Any]]:
    """`sampling.public.pipeline.generate` with the public networks below --weights, mesh and config bound to it.

    Raises:
      BadInput: there is no such folder, or what is in it does not fit the config's family.
    """
    from avatar_jax.sampling.public.pipeline import generate
    from avatar_jax.weights.suite import NUMBERS, open_suite, reading

    if args.weights is None:
        rule = f"{config.family} is not shipped; --weights names the folder that holds it"
        raise BadInput("--weights", "missing", rule, f"see the first lines of {args.config}")
    numbers, vae_numbers = NUMBERS[config.numbers], NUMBERS[config.vae_numbers]
    try:
        suite = open_suite(config.family, args.weights, mesh, numbers, vae_numbers, config.draft_family, reading)
    except ValueError as error:
        first, rule, fix = str(error).split("\n")
        what, _, got = first.partition(": ")
        raise BadInput(what, got, rule.removeprefix("rule: "), fix.removeprefix("fix: ")) from error
    return partial(generate, suite=suite, config=config, mesh=mesh, director=choose_director(args.director))


def check(args: argparse.Namespace) -> None:
    """What can be said about the arguments before anything is loaded."""
    for name, value in vars(args).items():
        if isinstance(value, Path):
            nameable(f"--{name}", value)
    if args.speaker:
        rule = "one speaker per video: several are planned, and not supported yet"
        raise BadInput("--speaker", args.speaker[0], rule, "leave --speaker out and give this one --audio and --face")
    require_director(args.director)
    if args.jobs is not None:
        given = [n for n in ("image", "audio", "prompt", "storyline", "face") if getattr(args, n)]
        if given or args.redo_segments:
            name = given[0] if given else "redo-segments"
            raise BadInput(f"--jobs with --{name}", "both", "the lines of the jobs file say it all", f"drop --{name}")
    elif args.image is None or args.audio is None:
        missing = "--image" if args.image is None else "--audio"
        raise BadInput("wrong arguments", f"{missing} is missing", "--image and --audio, or --jobs", f"add {missing}")


def request_of(args: argparse.Namespace) -> Any:
    """The one request of the command line."""
    from avatar_jax.sampling.request import Request

    return Request(
        image=args.image,
        audio=args.audio,
        out=args.out,
        prompt=args.prompt,
        storyline=args.storyline,
        fps=args.fps,
        face=args.face,
        seed=args.seed,
        redo=redo_numbers(args.redo_segments),
    )


def redo_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")})) if text else ()
    except ValueError as error:
        raise BadInput("--redo-segments", text, "numbers of sub-clips", "for example --redo-segments 3,5") from error


def load_models(weights: Path | None, mesh: Any, student: bool = True) -> Any:
    """The networks with the weights of a folder, or the shipped ones; of the generator its student, if there is one.

    Raises:
      BadInput: a file is missing or cannot be read.
    """
    from avatar_jax.director.rules import direct
    from avatar_jax.models.audio_encoder import AudioEncoderConfig
    from avatar_jax.models.avatar_codec import AvatarCodec, CodecConfig
    from avatar_jax.models.low_rank import changed
    from avatar_jax.models.portrait_layers import LayersConfig
    from avatar_jax.models.reader import Reader, ReaderConfig
    from avatar_jax.models.segment import WindowConfig
    from avatar_jax.sampling.denoiser import on_mesh
    from avatar_jax.sampling.folder import sha256
    from avatar_jax.sampling.pipeline import Models
    from avatar_jax.weights import ship

    def opened(name: str) -> tuple[dict[str, Any], dict, str]:
        path = ship.shipped(name) if weights is None else weights / f"{name}.safetensors"
        try:
            params, note = ship.load(path)
        except ship.WeightsError as error:
            raise BadInput(
                "weights", error.args[0].split("\n")[0], "audio, layers, codec, gate, dit", "train them"
            ) from error
        return note, params, sha256(path)

    def part(name: str, default: Any) -> tuple[Any, dict, str]:
        note, params, digest = opened(name)
        return sized(default, (note.get("config") or {}).get("model") or {}), params, digest

    audio, audio_params, audio_hash = part("audio", AudioEncoderConfig())
    layers, layers_params, layers_hash = part("layers", LayersConfig())
    codec, codec_params, codec_hash = part("codec", CodecConfig())
    reader, reader_params, gate_hash = part("gate", ReaderConfig())
    window, window_params, dit_hash = part("dit", WindowConfig())
    hashes = {"audio": audio_hash, "layers": layers_hash, "codec": codec_hash, "gate": gate_hash, "dit": dit_hash}
    steps = None
    if student and ((weights or ship.SHIPPED) / "distil.safetensors").is_file():
        learned, change, hashes["distil"] = opened("distil")
        if learned["config"]["teacher"] != dit_hash:
            rule = "a student is the change of one teacher's weights"
            raise BadInput("weights distil", f"of another generator than {dit_hash[:12]}", rule, "add --student=false")
        window_params, steps = changed(window_params, change), learned["config"]["student_steps"]
    return Models(
        direct, audio, audio_params, window, on_mesh(window_params, mesh), AvatarCodec(codec, layers),
        codec_params | {"layers": layers_params}, Reader(reader), reader_params, hashes, steps,
    )  # fmt: skip


def sized(default: Any, note: dict[str, Any]) -> Any:
    """A model's config with the sizes that its weights were trained with."""
    changes = {}
    for field in fields(default):
        if field.name in note and field.name != "dtype":
            value, now = note[field.name], getattr(default, field.name)
            changes[field.name] = sized(now, value) if is_dataclass(now) else _like(now, value)
    return replace(default, **changes)


def _like(now: Any, value: Any) -> Any:
    return tuple(value) if isinstance(now, tuple) else value


def tell(report: dict[str, Any], out: Path) -> None:
    """What was made, and where the time went."""
    if report.get("already_complete"):
        print(f"{out / 'video.mp4'} is complete already; use another --out or --seed for another video")
        return
    print(f"{out / 'video.mp4'}: {report['frames']} frames at {report['fps']} fps, {report['seconds']:.2f} s of sound")
    for name, seconds in report["timings_s"].items():
        print(f"  {name:<12}{seconds:8.2f} s")
    follows = report["mouth_follows_sound"]
    first = report["start_s"]["first_step"]
    print(f"  first step after {first if first is not None else 'n/a'} s, with what was kept of earlier runs")
    print(f"  {report['seconds_per_video_second']:.2f} s per second of video, {report['peak_rss_mb']} MB at most")
    print(f"  mouth follows sound {follows if follows is not None else 'n/a'} (as the gate's reader sees it)")
    gate = report.get("gate", {})
    for index, faults in gate.get("below", {}).items():
        print(
            f"  sub-clip {index} is below the gate's limits in every try: {', '.join(faults)} (--redo-segments {index})"
        )


def tell_jobs(results: Any) -> int:
    """One line per job; the status of the whole."""
    status = 0
    for result in results:
        first = result.get("error", result.get("video", "")).split("\n")[0]
        print(f"{result['name']}: {result['status']} ({result['took_s']} s) {first}")
        status = max(status, {"done": 0, "failed": 1, "bad input": 2}[result["status"]])
    return status


if __name__ == "__main__":
    sys.exit(main())
