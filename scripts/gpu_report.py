"""Write a report of tests and speed on a GPU, in at most 8 minutes.

    python scripts/gpu_report.py [--out gpu_report.md] [--device cuda] [--parts tests training ...]

It needs a checkout and an environment in which nmt runs; the tests also need pytest, beartype and
hypothesis. Each part runs in a process of its own with a time limit. A part that fails or takes too
long is reported, and the others still run. The file is written after each part. Multi30k is left
out unless data/multi30k is there (scripts/prepare_multi30k.py). With --device cpu all sizes are
tiny: this only tests the script.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from benchmarks.device_parts import (  # noqa: E402
    TINY,
    Scale,
    measure_search,
    measure_training,
    profile_training,
)

TOTAL_SECONDS = 470
"""Of all parts together; starting and writing take the rest of 8 minutes."""
LIMITS = {"training": 80, "search": 60, "profile": 40, "tests": 140, "multi30k": 180}
"""Seconds of each part, in the order in which they run."""
TITLES = {
    "training": "Throughput of training",
    "search": "Throughput of beam search",
    "profile": "Profile of training",
    "tests": "Tests",
    "multi30k": "Multi30k de-en to 38 BLEU",
}
MEASURES: dict[str, Callable[[torch.device, Scale], Iterator[str]]] = {
    "training": measure_training,
    "search": measure_search,
    "profile": profile_training,
}
BLEU = 38.0
PAUSE = 0.2  # seconds between looks at the metrics of a training
LAST = 60  # lines of a failed part


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    given = _parser().parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(
            "gpu_report: error: --device: cuda not found on this machine; run it on a machine with "
            "a GPU and a torch built for CUDA, or test the script with --device cpu",
            file=sys.stderr,
        )
        return 2
    if given.only is not None:
        with given.out.open("w", encoding="utf-8") as file:
            for line in MEASURES[given.only](device, TINY if device.type == "cpu" else Scale()):
                print(line, file=file, flush=True)
        return 0
    end = time.monotonic() + TOTAL_SECONDS
    texts = [describe_machine(device)]
    for name in (name for name in LIMITS if name in given.parts):
        print(f"{name}: at most {LIMITS[name]} seconds", file=sys.stderr)
        began = time.monotonic()
        limit = min(LIMITS[name], end - began)
        found = run_part(name, device, limit) if limit > 1 else "Left out: no time is left."
        taken = time.monotonic() - began
        texts.append(f"## {TITLES[name]}\n\n{found}\n\n({taken:.0f} s of at most {limit:.0f} s)\n")
        given.out.write_text("\n".join(texts), encoding="utf-8")
    print(f"wrote {given.out}", file=sys.stderr)
    return 0


def run_part(name: str, device: torch.device, limit: float) -> str:
    """Return the Markdown of a part, or why it failed."""
    try:
        if name == "multi30k":
            return run_multi30k(device, limit)
        if name == "tests":
            return run_tests(device, limit)
        return run_measure(name, device, limit)
    except Exception as error:
        return f"**Failed**: {type(error).__name__}: {error}"


def run_measure(name: str, device: torch.device, limit: float) -> str:
    """Return what a part of `MEASURES` has written, all of it or up to its failure."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = ["--device", str(device), "--only", name, "--out", str(out)]
        code, text = run_command([sys.executable, __file__, *options], limit)
        found = out.read_text(encoding="utf-8").strip() if out.exists() else ""
    return found if code == 0 else f"{found}\n\n{explain_failure(code, text, limit)}".strip()


def run_tests(device: torch.device, limit: float) -> str:
    """Return the last lines of pytest: the tests with the marker, or on a CPU a few of them."""
    # Files of tests may need packages that are not installed.
    chosen = ["-m", "gpu", "--continue-on-collection-errors"]
    if device.type == "cpu":
        chosen = ["tests/integration/test_gpu.py", "-k", "searches and cpu"]
    code, text = run_command([sys.executable, "-m", "pytest", "-q", *chosen], limit)
    if code == 0:
        return "```\n" + text.strip().splitlines()[-1] + "\n```"
    return explain_failure(code, text, limit)


def explain_failure(code: int | None, text: str, limit: float) -> str:
    """Describe a command that failed, or took too long (no code), with its last lines."""
    reason = f"exit code {code}" if code is not None else f"took more than {limit:.0f} s"
    last = "\n".join(text.strip().splitlines()[-LAST:])
    return f"**Failed**: {reason}\n\n```\n{last}\n```"


def run_command(command: list[str], limit: float) -> tuple[int | None, str]:
    """Run a command; return its exit code, or None if it took too long, and its output."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        with started(command, output.fileno()) as process:
            try:
                code: int | None = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
        output.seek(0)
        return code, output.read().strip()


@contextmanager
def started(command: list[str], output: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a command in a group of its own, all of which ends with the context."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_multi30k(device: torch.device, limit: float) -> str:
    """Return how long the recipe of Multi30k de-en takes to reach 38 BLEU on the validation set."""
    if not (ROOT / "data/multi30k").is_dir():
        return "Left out: data/multi30k is not there; make it with scripts/prepare_multi30k.py."
    if device.type == "cpu":
        return "Left out: it takes many minutes on a CPU."
    options = [f"device={device}", "training.validation.every=200"]
    return train_to(BLEU, "configs/multi30k/de_en.yaml", options, limit)


def train_to(target: float, config: str, options: list[str], limit: float) -> str:
    """Train until a validation reaches this BLEU; return a row for each validation.

    Args:
        target: the BLEU.
        config: the configuration.
        options: options that replace those of the configuration.
        limit: seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        run, log = Path(folder) / "run", Path(folder) / "log"
        command = [sys.executable, "-m", "nmt", "train", config, f"run={run}", *options]
        rows: list[tuple[int, float, float]] = []
        began = time.monotonic()
        with log.open("wb") as output, started(command, output.fileno()) as process:
            is_done = False
            while not is_done and time.monotonic() - began < limit:
                is_done = process.poll() is not None
                for update, bleu in read_validations(run / "metrics.jsonl")[len(rows) :]:
                    rows.append((update, bleu, time.monotonic() - began))
                is_done = is_done or (bool(rows) and rows[-1][1] >= target)
                time.sleep(PAUSE)
            code = process.poll()
        if code:
            return explain_failure(code, log.read_text(encoding="utf-8", errors="replace"), limit)
    reached = [row for row in rows if row[1] >= target]
    result = f"Not reached in {limit:.0f} s." if code is None else "Not reached."
    if reached:
        result = f"Reached after {reached[0][2]:.0f} s and {reached[0][0]:,} updates."
    lines = [f"{result} Greedy search on the validation set, with everything from the start.", ""]
    lines += ["| update | BLEU | seconds |", "|---|---|---|"]
    lines += [f"| {update:,} | {bleu:.2f} | {seconds:.0f} |" for update, bleu, seconds in rows]
    return "\n".join(lines)


def read_validations(path: Path) -> list[tuple[int, float]]:
    """Return update and BLEU of each validation in a metrics file, which may be being written."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    rows = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [(row["update"], row["scores"]["bleu"]) for row in rows if row["kind"] == "validation"]


def describe_machine(device: torch.device) -> str:
    """Return the head of the report: commit, versions and machine."""
    facts = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "commit": _output_of("git", "-C", str(ROOT), "log", "-1", "--format=%H %cs"),
        "changed files": _output_of("git", "-C", str(ROOT), "status", "--short") or "none",
        "Python": platform.python_version(),
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda}",
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "device": str(device),
    }
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        memory = f"{gpu.total_memory / 2**30:.0f} GiB"
        facts["device"] = f"{gpu.name}, {memory}, compute capability {gpu.major}.{gpu.minor}"
        driver = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        facts["driver"] = _output_of(*driver)
    lines = [f"| {name} | {' '.join(fact.split())} |" for name, fact in facts.items()]
    return "\n".join(["# GPU report", "", "| fact | value |", "|---|---|", *lines, ""])


def _output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("gpu_report.md"), metavar="FILE")
    add("--device", default="cuda", choices=["cuda", "cpu"], help="default: cuda")
    add("--parts", nargs="+", default=list(LIMITS), choices=list(LIMITS), metavar="PART")
    add("--only", choices=list(MEASURES), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
