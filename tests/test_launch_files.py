"""Launch files and their page: YAML that parses, scripts that bash reads, and our commands with flags that exist."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import sample
import train
from avatar_jax import config as configs
from avatar_jax.mesh import parse_mesh

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ROOT / "tpu" / "launch"
PAGES = [ROOT / "docs" / "tpu-launch.md", *sorted(LAUNCH.iterdir())]
PARSERS = {"sample.py": sample.parser, "train.py": train.parser}


def commands(path: Path) -> list[list[str]]:
    """Every call of our programs, as words; line ends behind a backslash are joined."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    found = re.findall(r"^[^\n`#]*?\bpython (?=sample\.py|train\.py)([^\n`&|]+)", text, re.MULTILINE)
    return [shlex.split(line) for line in found]


CALLS = [(path.name, words) for path in PAGES for words in commands(path)]


def test_the_page_shows_commands() -> None:
    assert {words[0] for _, words in CALLS} == set(PARSERS)
    assert len(CALLS) >= 8


@pytest.mark.parametrize(("page", "words"), CALLS, ids=lambda x: x if isinstance(x, str) else " ".join(x)[:60])
def test_commands_use_flags_and_values_that_exist(page: str, words: list[str]) -> None:
    """As far as files are not read: argparse takes the flags, the config takes the overrides, the mesh is one."""
    program, *arguments = words
    parser = PARSERS[program]()
    args, rest = parser.parse_known_args(arguments)
    given = str(args.config)
    if "$" not in given:
        config = configs.load(ROOT / given)
        configs.override(config.sample if program == "sample.py" else config, rest, list(parser._option_string_actions))
    if "$" not in args.mesh:
        assert parse_mesh(args.mesh)


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.sh")), ids=lambda p: p.name)
def test_scripts_are_ones(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert path.stat().st_mode & 0o100 or path.name == "environment.sh"


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.yaml")), ids=lambda p: p.name)
def test_job_sets_ask_for_what_a_slice_has(path: Path) -> None:
    """Chips of all pods together are those of the topology, and the mesh uses all of them."""
    described = yaml.safe_load(path.read_text())
    assert described["kind"] == "JobSet" and described["apiVersion"].startswith("jobset.x-k8s.io/")
    for job in described["spec"]["replicatedJobs"]:
        spec = job["template"]["spec"]
        pod = spec["template"]["spec"]
        sides = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x")
        container = pod["containers"][0]
        chips = container["resources"]["limits"]["google.com/tpu"] * spec["completions"]
        assert chips == int(sides[0]) * int(sides[1]) and spec["parallelism"] == spec["completions"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        alone = mesh_of(container)
        size = 1
        for ways in parse_mesh(alone).values():
            size *= ways
        assert size in (chips, chips * job["replicas"])


def mesh_of(container: dict[str, Any]) -> str:
    """Of a worker's environment, or of the command itself."""
    for variable in container.get("env", []):
        if variable["name"] == "MESH":
            return variable["value"]
    return re.findall(r"--mesh (\S+)", " ".join(container["command"]))[0]


def test_every_variable_of_the_worker_is_given() -> None:
    wanted = set(re.findall(r'"\$([A-Z]+)"', (LAUNCH / "worker.sh").read_text()))
    assert wanted == {"JOBS", "OUT", "CONFIG", "WEIGHTS", "MESH"}
    for name in ("jobset-jobs.yaml", "xpk.sh", "startup.sh"):
        text = (LAUNCH / name).read_text()
        assert all(re.search(rf"\b{variable}\b", text) for variable in wanted), name
