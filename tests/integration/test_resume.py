"""A run that was killed and resumed is the run that nobody disturbed, byte for byte."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import nmt
from nmt.cli.main import main
from nmt.config.file import load_config
from nmt.core.errors import RunError
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.subword_epochs import EpochTokens, draw_epoch
from nmt.distributed.process_group import LostProcessError
from nmt.inference.translator import Translator
from nmt.runs.run import RunDirectory
from nmt.training import new_run, train as training
from nmt.training.logs.metrics_file import MetricsFile
from nmt.training.signals import Interrupted
from nmt.training.snapshots import Snapshots
from nmt.training.state import TrainingState
from nmt.training.trainer import Trainer

NUM_PAIRS = 60
NUM_UPDATES = 24
CONFIG = """
run: {run}
seed: 3
device: cpu
precision: float32
data:
  train: {{source: {folder}/source.txt, target: {folder}/target.txt}}
  valid: {{source: {folder}/valid.txt, target: {folder}/valid.txt}}
tokenizer: {{name: sentencepiece, vocabulary_size: 40, sampling_alpha: 0.5}}
model:
  embedding: {{size: 8, dropout: 0.1, word_dropout: 0.1}}
  encoder: {{hidden_size: 8}}
  decoder: {{hidden_size: 8, cell: lstm}}
training:
  batch_tokens: null
  batch_sentences: 8
  accumulate: 2
  max_epochs: null
  max_updates: {num_updates}
  ema_decay: 0.9
  schedule: {{name: plateau, warmup: 4, patience: 1}}
  scheduled_sampling: {{start: 2, end: 20, probability: 0.2}}
  validation: {{every: 6, metrics: [], best: loss, num_samples: 0}}
  early_stopping: {{metric: loss, patience: 100}}
  checkpoints: {{every: 4, keep_last: 3, average_last: 2}}
  log_every: 1
"""


class Run:
    """A run and its training, in a process of its own or in this one."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self.config = folder / f"{name}.yaml"
        self.config.write_text(CONFIG.format(run=self.path, folder=folder, num_updates=NUM_UPDATES))

    def train(self, *options: str) -> int:
        return main(["train", str(self.config), *options])

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(Path(nmt.__file__).parents[1])}
        return subprocess.Popen(
            [sys.executable, "-m", "nmt", "train", str(self.config), *options],
            env=environment,
            stderr=subprocess.DEVNULL,
        )

    def metrics(self) -> list[dict[str, Any]]:
        lines = (self.path / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def latest_update(self) -> int:
        try:
            text = (self.path / "metrics.jsonl").read_text()
        except FileNotFoundError:
            return 0
        complete = [line for line in text.split("\n")[:-1] if line]
        return json.loads(complete[-1])["update"] if complete else 0

    def latest_validation(self) -> int:
        """Return the update after which it was last validated."""
        return int([row["update"] for row in self.metrics() if row["kind"] == "validation"][-1])

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*.safetensors"))
        }

    def records(self) -> dict[str, Any]:
        """Return what it says in JSON: metadata, metrics and results, without times."""
        paths = [*self.path.rglob("metadata.json"), *self.path.glob("results.json")]
        found = {str(path.relative_to(self.path)): json.loads(path.read_text()) for path in paths}
        return without_times({**found, "metrics": self.metrics()})

    def assert_equal(self, other: "Run", message: str = "") -> None:
        """Check that both have left the same weights, states and records, byte for byte."""
        assert self.files() == other.files(), message
        assert self.records() == other.records(), message

    def wait_for_update(self, process: subprocess.Popen[bytes], update: int) -> None:
        """Wait as long as it trains: a busy machine may take minutes, and a run has an end."""
        while self.latest_update() < update:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)


def write_lines(folder: Path) -> None:
    """Write source.txt, target.txt (the same backwards) and valid.txt."""
    rng = random.Random(1)
    lines = [
        " ".join("".join(rng.choices("abcdefg", k=2)) for _ in range(rng.randint(1, 3)))
        for _ in range(NUM_PAIRS)
    ]
    (folder / "valid.txt").write_text("\n".join(lines[:5]) + "\n")
    (folder / "source.txt").write_text("\n".join(lines) + "\n")
    (folder / "target.txt").write_text("\n".join(line[::-1] for line in lines) + "\n")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    write_lines(folder)
    return folder


@pytest.fixture
def own_corpus(corpus: Path, tmp_path: Path) -> Path:
    """A copy of the corpus that a test may change."""
    for name in ("source", "target", "valid"):
        shutil.copy(corpus / f"{name}.txt", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def unbroken(corpus: Path) -> Run:
    run = Run(corpus, "unbroken")
    assert run.train() == 0
    return run


# In each third one: within an epoch, at a validation, and at a save.
KILL_POINTS = (2, 12, 20)
TIMES = {"seconds", "tokens_per_second", "logged_seconds", "training_seconds", "metrics_end"}


def without_times(tree: Any) -> Any:
    """Return the same without what is measured in seconds, or follows from its digits."""
    if isinstance(tree, dict):
        return {key: without_times(value) for key, value in tree.items() if key not in TIMES}
    return [without_times(item) for item in tree] if isinstance(tree, list) else tree


def test_run_killed_three_times_equals_an_uninterrupted_run(corpus: Path, unbroken: Run) -> None:
    run = Run(corpus, "killed")
    for number, point in enumerate(KILL_POINTS):
        process = run.start(*(["--resume"] if number else []))
        run.wait_for_update(process, point)
        time.sleep(number * 0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert run.train("--resume") == 0
    run.assert_equal(unbroken)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_update_and_saves(
    corpus: Path,
    unbroken: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    """In the middle of update 5, the signal comes; of 15, another; then it is left in peace."""
    run = Run(corpus, f"signal-{code}")
    for resume, update in [([], 5), (["--resume"], 15)]:
        with monkeypatch.context() as patch:
            send_at(patch, update, number)
            assert run.train(*resume) == code
        assert f"interrupted at update {update}; saved, and --resume" in capsys.readouterr().err
        metadata = json.loads((run.path / "checkpoints/last/metadata.json").read_text())
        assert metadata["counters"]["update"] == update == run.latest_update()
    assert run.train("--resume") == 0
    run.assert_equal(unbroken)


def send_at(patch: pytest.MonkeyPatch, update: int, number: signal.Signals) -> None:
    """Let an update send this process a signal before it computes anything."""
    learning_rate = TrainingState.learning_rate

    def sends(state: TrainingState) -> float:
        if state.counters.update == update:
            patch.setattr(TrainingState, "learning_rate", learning_rate)
            os.kill(os.getpid(), number)
        return learning_rate(state)

    patch.setattr(TrainingState, "learning_rate", sends)


def test_signal_interrupts_a_validation(
    corpus: Path, unbroken: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(corpus, "signal-validation")
    score = Translator.score

    def sends(translator: Translator, pairs: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return score(translator, pairs)

    with monkeypatch.context() as patch:
        patch.setattr(Translator, "score", sends)
        assert run.train() == 130
    assert not (run.path / "checkpoints/best").exists()
    assert run.train("--resume") == 0
    run.assert_equal(unbroken)


def test_finished_run_is_not_changed(unbroken: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = unbroken.files()
    assert unbroken.train("--resume") == 0
    message = f"the run is already finished: max_updates ({NUM_UPDATES}) reached; nothing to do"
    assert message in capsys.readouterr().err
    assert unbroken.files() == before


def test_finished_run_resumes_with_a_higher_limit(
    corpus: Path, unbroken: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """It becomes what it would be with that limit from the start."""
    run = Run(corpus, "raised")
    assert run.train("training.max_updates=6") == 0
    assert run.train("--resume") == 0
    error = capsys.readouterr().err
    assert f"training ends at update {NUM_UPDATES}: max_updates ({NUM_UPDATES}) reached" in error
    run.assert_equal(unbroken)


def test_other_options_are_refused(unbroken: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = unbroken.files()
    assert unbroken.train("--resume", "training.clip_norm=2", "training.log_every=7") == 2
    error = capsys.readouterr().err
    assert "started with other options: training.clip_norm (1.0 -> 2.0); restore them" in error
    assert unbroken.files() == before


def test_a_run_without_a_checkpoint_starts_from_the_beginning(
    corpus: Path, unbroken: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(corpus, "early")
    with monkeypatch.context() as patch:
        send_at(patch, 3, signal.SIGINT)
        patch.setattr(training, "save_state", lambda state: None)
        assert run.train() == 130
    assert run.latest_update() == 3
    assert run.train("--resume") == 0
    run.assert_equal(unbroken)


def test_a_damaged_checkpoint_is_named(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(corpus, "damaged")
    assert run.train("training.max_updates=2") == 0
    weights = run.path / "checkpoints/last/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    before = run.files()
    assert run.train("--resume", "training.max_updates=3") == 2
    assert f"{weights}: corrupted: " in capsys.readouterr().err
    assert run.files() == before


def test_a_checkpoint_without_its_manifest_is_damaged_and_not_none(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, "no-manifest")
    assert run.train("training.max_updates=2") == 0
    (run.path / "checkpoints/last/manifest.json").unlink()
    before = run.files(), run.metrics()
    assert run.train("--resume", "training.max_updates=3") == 2
    assert "checkpoints/last/manifest.json: missing, so this" in capsys.readouterr().err
    assert (run.files(), run.metrics()) == before


def test_interrupted_run_with_a_raised_limit_is_not_finished(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(corpus, "raised-and-broken-off")
    assert run.train("training.max_updates=2") == 0

    def interrupted(config: Any, state: Any, reason: str, interruption: Any) -> None:
        interruption.signal = signal.SIGINT
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(training, "finish", interrupted)
        assert run.train("--resume", "training.max_updates=3") == 130
    assert json.loads((run.path / "results.json").read_text())["updates"] == 2
    assert run.train("--resume", "training.max_updates=3") == 0
    assert json.loads((run.path / "results.json").read_text())["updates"] == 3


@pytest.mark.parametrize("lost", ["last", "last best", "last step-6", "last best step-6"])
def test_a_run_that_has_trained_and_lacks_its_last_checkpoint_is_refused(
    lost: str, corpus: Path, snapshot: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, f"lost-{lost.replace(' ', '-')}")
    assert run.train("training.max_updates=6") == 0
    for name in lost.split():
        shutil.rmtree(run.path / "checkpoints" / name)
    (run.path / "results.json").unlink()
    before = snapshot(run.path)
    assert run.train("--resume") == 2
    best = f"start another run from its best weights (start_from={run.path} run=PATH), "
    assert capsys.readouterr().err.endswith(
        f"nmt: error: {run.path}/checkpoints/last: missing, so the run cannot be resumed; restore "
        "it from a copy, "
        f"{'' if 'best' in lost else best}or train from the beginning with --overwrite, which "
        "deletes the run\n"
    )
    assert {**snapshot(run.path), f"{run.path}/train.log": b""} == {
        **before,
        f"{run.path}/train.log": b"",
    }


def test_a_kill_in_the_first_validation_leaves_a_run_that_can_be_resumed(
    corpus: Path, unbroken: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(corpus, "killed-first-validation")
    save_best = Snapshots.save_best

    def dies(snapshots: Snapshots, *given: Any) -> None:
        save_best(snapshots, *given)
        raise KeyboardInterrupt

    checkpoints = "training.checkpoints={every: null, keep_last: 3, average_last: 2}"
    with monkeypatch.context() as patch:
        patch.setattr(Snapshots, "save_best", dies)
        assert run.train(checkpoints) == 130
    assert run.train("--resume", checkpoints) == 0
    assert run.files() == unbroken.files()


def test_a_finished_run_without_results_makes_them_again(
    corpus: Path, snapshot: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, "without-results")
    test = f"data.test={{source: {corpus}/valid.txt, target: {corpus}/valid.txt}}"
    assert run.train("training.max_updates=12", test) == 0
    before = snapshot(run.path)
    for lost in ("results.json", "translations"):
        if (run.path / lost).is_dir():
            shutil.rmtree(run.path / lost)
        else:
            (run.path / lost).unlink()
        assert run.train("--resume", "training.max_updates=12", test) == 0
        assert "nothing to do" not in capsys.readouterr().err
        after = snapshot(run.path)
        for name in ("train.log", "environment.json", "plots/learning_curves.png"):
            before.pop(f"{run.path}/{name}", None)
            after.pop(f"{run.path}/{name}", None)
        assert after == before


def test_a_run_that_has_lost_its_best_checkpoint_is_refused(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, "lost-best")
    assert run.train("training.max_updates=6") == 0
    checkpoints = run.path / "checkpoints"
    (checkpoints / "best").rename(run.path / "kept")
    before = run.files()
    for most in (6, 12):  # it is finished, and it is not
        assert run.train("--resume", f"training.max_updates={most}") == 2
        error = capsys.readouterr().err
        assert f"{checkpoints}/best: missing, but the run had one (loss " in error
        assert f"or put another checkpoint of {checkpoints} in its place" in error
        assert run.files() == before
    shutil.copytree(checkpoints / "step-6", checkpoints / "best")
    assert run.train("--resume", "training.max_updates=12") == 0


def test_measurements_that_are_missing_are_mentioned(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, "lost-metrics")
    assert run.train("training.max_updates=2") == 0
    size = (run.path / "metrics.jsonl").stat().st_size
    (run.path / "metrics.jsonl").unlink()
    assert run.train("--resume", "training.max_updates=4") == 0
    told = f"metrics.jsonl: {size:,} of {size:,} bytes are missing, so earlier metrics are lost"
    assert told in capsys.readouterr().err
    assert [row["update"] for row in run.metrics() if row["kind"] == "train"] == [3, 4]


def test_no_tokenizer_is_made_in_the_place_of_one_that_is_missing(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, "no-tokenizer")
    assert run.train("training.max_updates=2") == 0
    shutil.rmtree(run.path / "tokenizer/shared")
    before = run.files(), run.metrics()
    assert run.train("--resume", "training.max_updates=3") == 2
    assert f"{run.path}/tokenizer: the run's tokenizer is missing" in capsys.readouterr().err
    assert (run.files(), run.metrics()) == before


def test_text_that_has_changed_is_noticed(
    own_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(own_corpus, "changed")
    assert run.train("training.max_updates=2") == 0
    text = (own_corpus / "source.txt").read_text()
    (own_corpus / "source.txt").write_text("ab " + text)
    before = run.files(), run.metrics()
    assert run.train("--resume", "training.max_updates=3") == 2
    error = capsys.readouterr().err
    assert "source.txt" in error and "the text has changed since the run was started" in error
    assert (run.files(), run.metrics()) == before
    (own_corpus / "source.txt").write_text(text)
    assert run.train("--resume", "training.max_updates=3") == 0


def test_a_resume_that_is_refused_leaves_the_configuration_as_it_was(
    corpus: Path, own_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(own_corpus, "refused")
    assert run.train("training.max_updates=2") == 0
    config = run.path / "config.yaml"
    with config.open("a") as file:
        file.write("# of a person's own\n")
    before = config.read_bytes()
    with (
        (own_corpus / "source.txt").open("a") as source,
        (own_corpus / "target.txt").open("a") as target,
    ):
        source.write("ab\n")
        target.write("ba\n")
    assert run.train("--resume", "training.max_updates=3") == 2
    assert config.read_bytes() == before
    told = "resuming with other options: training.max_updates (2 -> 3)"
    assert told not in (run.path / "train.log").read_text()
    for name in ("source", "target"):
        shutil.copy(corpus / f"{name}.txt", own_corpus)
    capsys.readouterr()
    assert run.train("--resume", "training.max_updates=3") == 0
    assert told in capsys.readouterr().err
    assert load_config(config).training.max_updates == 3


def test_refused_resume_only_saves_resolved_auto_options(
    own_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other processes read that in the configuration, before anything can be refused."""
    monkeypatch.setattr("nmt.training.prepare_data.probe_batch_tokens", lambda *_, **__: 99)
    run, auto = Run(own_corpus, "refused-auto"), "training.batch_tokens=auto"
    assert run.train(auto, "training.max_updates=2") == 0
    config = run.path / "config.yaml"
    before = config.read_text()
    config.write_text(before.replace("batch_tokens: 99", "batch_tokens: auto"))
    assert config.read_text() != before
    (own_corpus / "source.txt").write_text("ab " + (own_corpus / "source.txt").read_text())
    assert run.train("--resume", auto, "training.max_updates=3") == 2
    assert config.read_text() == before


def test_lost_process_suggests_resume_if_possible(
    own_corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(trainer: Trainer) -> str:
        raise LostProcessError("another has died")

    run = Run(own_corpus, "lost")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run", lose)
        assert run.train("training.max_updates=2") == 2
        assert capsys.readouterr().err.endswith("nmt: error: another has died\n")
    assert run.train("--resume", "training.max_updates=2") == 0
    monkeypatch.setattr(Trainer, "run", lose)
    capsys.readouterr()
    assert run.train("--resume", "training.max_updates=3") == 2
    assert capsys.readouterr().err.endswith(
        "nmt: error: another has died; if torchrun does not restart, --resume "
        "continues from the last checkpoint\n"
    )


def test_a_validation_set_that_has_changed_is_noticed(
    own_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, valid = Run(own_corpus, "other-valid"), own_corpus / "valid.txt"
    assert run.train("training.max_updates=2") == 0
    text = valid.read_text()
    valid.write_text(text.upper())
    before = run.files(), run.metrics()
    assert run.train("--resume", "training.max_updates=3") == 2
    told = f"{valid} and {valid}: the validation set has changed since the run was started; restore"
    assert told in capsys.readouterr().err
    assert (run.files(), run.metrics()) == before
    valid.write_text(text)
    assert run.train("--resume", "training.max_updates=3") == 0


def test_a_cosine_is_not_stretched(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(corpus, "cosine")
    cosine = "training.schedule={name: cosine, warmup: 1}"
    assert run.train("training.max_updates=4", cosine) == 0
    before = run.files(), run.metrics()
    assert run.train("--resume", "training.max_updates=8", cosine) == 2
    assert "ends at update 4, but at 8 with these options" in capsys.readouterr().err
    assert (run.files(), run.metrics()) == before


def test_a_full_disk_is_one_line_and_nothing_is_lost(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(metrics: MetricsFile, kind: str, values: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = Run(corpus, "full")
    assert run.train("training.max_updates=2") == 0
    before = run.files()
    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "append", fill)
        assert run.train("--resume", "training.max_updates=6") == 2
    error = capsys.readouterr().err
    assert f"{run.path}: No space left on device; free disk space; --resume continues" in error
    assert "Traceback" not in error
    assert run.files() == before
    assert run.train("--resume", "training.max_updates=6") == 0


@pytest.mark.parametrize("overwrite", [False, True])
def test_new_run_is_prepared_and_logged_once(
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    overwrite: bool,
) -> None:
    run = Run(corpus, f"once-{overwrite}")
    if overwrite:
        assert run.train("training.max_updates=1") == 0
    capsys.readouterr()
    drawn: list[int] = []

    def draw(corpus: EncodedCorpus, seed: int, epoch: int, num_processes: int) -> EpochTokens:
        drawn.append(epoch)
        return draw_epoch(corpus, seed, epoch, num_processes)

    monkeypatch.setattr("nmt.data.loader.draw_epoch", draw)
    assert run.train("training.max_updates=2", *["--overwrite"] * overwrite) == 0
    assert drawn == [1]
    for told in (capsys.readouterr().err, (run.path / "train.log").read_text()):
        assert told.count("training the tokenizer of both sides (sentencepiece)") == 1
        assert told.count(f"{NUM_PAIRS} of {NUM_PAIRS} pairs kept") == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_run_killed_at_its_start_can_be_resumed(
    corpus: Path, unbroken: Run, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """After each of the moves that put what was prepared into the folder of the run."""
    run = Run(corpus, f"begun-{count}")
    move = shutil.move
    moved: list[object] = []

    def dies(source: Any, target: Any) -> None:
        move(source, target)
        moved.append(target)
        if len(moved) == count:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nmt.training.new_run.shutil.move", dies)
        assert run.train() == 130
    assert not (run.path / "checkpoints").exists()
    (run.path / ".preparing-x" / "cache").mkdir(parents=True)
    assert run.train("--resume", "training.max_updates=2") == 0
    assert not (run.path / ".preparing-x").exists()
    assert run.metrics()[0]["loss"] == unbroken.metrics()[0]["loss"]


def test_before_its_first_validation_a_run_has_no_best_checkpoint(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, "unvalidated")
    with monkeypatch.context() as patch:
        send_at(patch, 2, signal.SIGINT)
        assert run.train() == 130
    translate = ["translate", str(run.path), str(corpus / "valid.txt")]
    assert main(translate) == 2
    message = (
        "no best checkpoint before its first validation; resume it (`nmt train CONFIG --resume`)"
    )
    assert message in capsys.readouterr().err
    assert main([*translate, "--checkpoint", "last"]) == 0


@pytest.mark.parametrize(
    "mistake",
    [
        ["training.schedule={name: cosine, warmup: 9}", "training.max_updates=4"],
        ["decoding.search=greedy", "decoding.n_best=2"],
        ["data.train.weight=0.000001"],
        ["training.tensorboard=true"],
    ],
    ids=["schedule", "search", "weight", "tensorboard"],
)
def test_overwrite_deletes_nothing_before_all_checks_pass(
    mistake: list[str], unbroken: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    before = unbroken.files(), unbroken.metrics()
    assert unbroken.train("--overwrite", *mistake) == 2
    assert (unbroken.files(), unbroken.metrics()) == before
    assert not list(unbroken.path.glob(".preparing-*"))


@pytest.mark.parametrize("options", [[], ["--overwrite"], ["--resume"]])
def test_run_used_by_another_process_is_not_changed(
    options: list[str], corpus: Path, snapshot: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, f"held{''.join(options)}")
    assert run.train("training.max_updates=1") == 0
    before = snapshot(run.path)
    with RunDirectory(run.path).held():
        assert run.train(*options, "training.max_updates=2") == 2
        with pytest.raises(RunError, match="another process works in this folder"):
            training.train(load_config(run.path / "config.yaml"), resume=True)
    assert f"{run.path}: another process works in this folder" in capsys.readouterr().err
    assert snapshot(run.path) == before


def test_preparation_by_another_process_is_kept(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(corpus, "twice")
    (run.path / ".preparing-x").mkdir(parents=True)
    with RunDirectory(run.path).held():
        assert run.train("training.max_updates=1") == 2
    assert f"{run.path}: another process works in this folder" in capsys.readouterr().err
    assert (run.path / ".preparing-x").exists()
    assert run.train("training.max_updates=1") == 0, "that process was killed"
    assert not (run.path / ".preparing-x").exists()


def test_run_is_locked_during_preparation(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, codes = Run(corpus, "preparing"), []
    prepare = new_run.prepare_aside

    def prepares(*given: Any) -> Any:
        monkeypatch.setattr(new_run, "prepare_aside", prepare)
        codes.append(run.train("training.max_updates=1"))
        return prepare(*given)

    monkeypatch.setattr(new_run, "prepare_aside", prepares)
    assert run.train("training.max_updates=1") == 0
    assert codes == [2]
    assert f"{run.path}: another process works in this folder" in capsys.readouterr().err
