"""A run of a stranger: what does not fit is one line and exit code 2, soon, whatever its sums."""

import hashlib
import json
import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

BEST = "runs/tiny/checkpoints/best"
LAST = "runs/tiny/checkpoints/last"
TOKENIZER = "runs/tiny/tokenizer/source"
Spoil = Callable[[], object]


@pytest.fixture
def refused(nmt: Any, in_copy: Path) -> Callable[..., str]:
    """Run a command that must be refused soon, and return what it says."""

    def run(*arguments: str) -> str:
        start = time.process_time()
        outcome = nmt(*arguments, stdin=b"one two .\n")
        assert time.process_time() - start < 2.0
        outcome.assert_refused()
        return str(outcome.err.splitlines()[-1])

    return run


def sparse(path: str) -> None:
    with open(path, "wb") as file:
        file.truncate(20 * 10**9)


KINDS: dict[str, Callable[[str], object]] = {
    "named pipe": os.mkfifo,
    "device": lambda path: os.symlink("/dev/zero", path),
    "folder": os.mkdir,
    "dangling link": lambda path: os.symlink("nowhere", path),
    "sparse": sparse,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "path",
    [
        "runs/tiny/config.yaml",
        f"{BEST}/manifest.json",
        f"{BEST}/metadata.json",
        f"{BEST}/model.safetensors",
        f"{TOKENIZER}/tokenizer.json",
        f"{TOKENIZER}/vocabulary.txt",
    ],
)
def test_irregular_file_is_refused(path: str, kind: str, refused: Any) -> None:
    os.unlink(path)
    KINDS[kind](path)
    assert os.path.dirname(path) in refused("translate", "runs/tiny")


def compact(tree: object) -> bytes:
    return json.dumps(tree, separators=(",", ":"), sort_keys=True).encode()


def seal(folder: str, **changes: object) -> None:
    """Give the manifest of a checkpoint the right sums of the files that are there."""
    path = Path(folder, "manifest.json")
    manifest = json.loads(path.read_text())
    manifest.pop("sha256")
    for name in manifest["files"]:
        content = Path(folder, name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"size": len(content), "sha256": digest}
    manifest |= changes
    path.write_bytes(compact(manifest | {"sha256": hashlib.sha256(compact(manifest)).hexdigest()}))


def change_tensors(
    folder: str, part: str, change: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    path = Path(folder, f"{part}.safetensors")
    tensors = load(path.read_bytes())
    change(tensors)
    path.write_bytes(save(tensors))
    seal(folder)


def first_weight(tensors: dict[str, torch.Tensor]) -> str:
    return next(name for name in sorted(tensors) if tensors[name].ndim == 2)


def set_first(make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = first_weight(tensors)
        tensors[name] = make(tensors[name])

    return change


def with_value(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor[-1, -1] = value
        return tensor

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_first(with_value(float("nan"))), "of model has NaN or infinite values"),
        (set_first(with_value(float("-inf"))), "of model has NaN or infinite values"),
        (
            set_first(with_value(-3e38)),
            "of model has values above 1e+12, so that products overflow; use",
        ),
        (set_first(torch.Tensor.double), "is float64, not float32"),
        (set_first(torch.Tensor.bfloat16), "is bfloat16, not float32"),
        (set_first(lambda tensor: tensor[1:].clone()), "has shape"),
        (lambda tensors: tensors.pop(first_weight(tensors)), "is missing"),
        (lambda tensors: tensors.update(more=torch.zeros(1)), "unexpected tensor 'more'"),
        (lambda tensors: tensors.update(more=torch.zeros(10**7)), "above the limit of"),
    ],
)
def test_weights_of_another_model_are_refused(change: Any, reason: str, refused: Any) -> None:
    change_tensors(BEST, "model", change)
    line = refused("translate", "runs/tiny")
    assert reason in line and BEST in line
    assert "tensor '" in line or "model.safetensors" in line


def header(tree: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    content = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content + data


TENSOR = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    "content",
    [
        header({"a": TENSOR}, length=2**63),
        header({"a": {**TENSOR, "data_offsets": [-4, 12]}}),
        header({"a": TENSOR, "b": {**TENSOR, "shape": [2], "data_offsets": [8, 16]}}),
        header({"a": {**TENSOR, "shape": [8], "data_offsets": [0, 32]}}),
        header({"a": {**TENSOR, "shape": [2**62, 2**62]}}),
        header({"a": {**TENSOR, "shape": [5]}}),
        header({"a": {**TENSOR, "dtype": "Q9"}}),
        header({"a": {**TENSOR, "dtype": "F4", "shape": [32]}}),
        header(b"{nonsense"),
        header(b"[" * 200_000),
        header(b'{"a":%s,"a":%s}' % (compact(TENSOR), compact(TENSOR))),
        header({"a": {**TENSOR, "shape": [2], "data_offsets": [8, 16]}}),
        header({"a": {**TENSOR, "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}}, b""),
        b"",
    ],
)
def test_bad_headers_of_safetensors_are_refused(content: bytes, refused: Any) -> None:
    Path(BEST, "model.safetensors").write_bytes(content)
    seal(BEST)
    assert f"{BEST}/model.safetensors: not a valid safetensors" in refused("translate", "runs/tiny")


def manifest_with(**changes: object) -> Spoil:
    return lambda: seal(BEST, **changes)


def metadata_of(content: str) -> Spoil:
    def spoil() -> None:
        Path(BEST, "metadata.json").write_text(content)
        seal(BEST)

    return spoil


ENTRY = {"size": 1, "sha256": "0"}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (manifest_with(files=[]), "manifest.json: not the description of a checkpoint"),
        (manifest_with(files={}), "manifest.json: not the description of a checkpoint"),
        (
            manifest_with(aliases={"model": []}),
            "manifest.json: not the description of a checkpoint",
        ),
        (manifest_with(aliases={"model": {"a": 1}}), "manifest.json: not the description"),
        (manifest_with(aliases={"model": {"a": "b"}}), "'a' is an alias of 'b', which does not"),
        (
            manifest_with(
                aliases={"../x": {}},
                files={"metadata.json": ENTRY, "../x.safetensors": ENTRY},
            ),
            "manifest.json: not the description of a checkpoint",
        ),
        (
            manifest_with(files={"metadata.json": {}, "model.safetensors": ENTRY}),
            "manifest.json: not the description of a checkpoint",
        ),
        (manifest_with(format=True), "checkpoint format True is not supported"),
        (metadata_of("[]"), "metadata.json: must be a JSON object"),
        (metadata_of("[" * 200_000), "metadata.json: not JSON (nested too deeply)"),
        (lambda: Path(BEST, "manifest.json").write_text("[" * 200_000), "corrupted: not JSON"),
    ],
)
def test_manifests_and_metadata_with_right_sums_are_refused(
    spoil: Spoil, reason: str, refused: Any
) -> None:
    spoil()
    assert reason in refused("translate", "runs/tiny")


def test_metadata_without_the_update_is_refused(refused: Any) -> None:
    metadata_of('{"update": "1"}')()
    assert "metadata.json: has no number of updates" in refused("evaluate", "runs/tiny")


@pytest.mark.parametrize("name", ["../../x", "/etc", "", ".", "..", "best/../..", "a\0b"])
def test_a_checkpoint_is_one_of_the_run(name: str, refused: Any) -> None:
    line = refused("translate", "runs/tiny", "--checkpoint", name)
    assert "must be best, last or step-N" in line


def describe_tokenizer(vocabulary: list[str] | None = None, **changes: object) -> None:
    """Write a tokenizer of right sums that says something else."""
    path = Path(TOKENIZER, "tokenizer.json")
    fields = json.loads(path.read_text())
    content = Path(TOKENIZER, "vocabulary.txt").read_bytes()
    if vocabulary is not None:
        content = "".join(f"{token}\n" for token in vocabulary).encode()
        Path(TOKENIZER, "vocabulary.txt").write_bytes(content)
    fields |= {"model_sha256": hashlib.sha256(content).hexdigest()} | changes
    told = {key: fields[key] for key in fields.keys() - {"fingerprint", "model_file"}}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(fields | {"fingerprint": digest}))


SPECIALS = ["<pad>", "<unk>", "<s>", "</s>"]


@pytest.mark.parametrize(
    "changes",
    [
        {"model_file": "../../../../../../../etc/passwd"},
        {"model_file": "/etc/passwd"},
        {"model_file": 3},
        {"name": ["words"]},
        {"name": "magic"},
        {"name": "sentencepiece"},
        {"options": {"more": 1}},
        {"options": []},
        {"normalizer": {"normalization": "rot13", "lowercase": False}},
        {"normalizer": {"normalization": "nfc", "lowercase": "no"}},
        {"normalizer": {"normalization": ["nfc"], "lowercase": False}},
        {"format": 2},
        {"format": [1]},
        {"vocabulary": [*SPECIALS, "a", "a"]},
        {"vocabulary": ["a", "b"]},
        {"vocabulary": [*SPECIALS, "a b"]},
    ],
)
def test_tokenizers_with_right_sums_are_refused(changes: Any, refused: Any) -> None:
    describe_tokenizer(**changes)
    assert TOKENIZER in refused("translate", "runs/tiny")


def test_a_vocabulary_of_another_size_than_the_embeddings_is_refused(refused: Any) -> None:
    describe_tokenizer([*SPECIALS, *map(str, range(5))])
    line = refused("translate", "runs/tiny")
    assert "tensor 'source_embedding.table.weight' has shape" in line
    assert "and the run's tokenizers" in line


def change_metadata(**changes: object) -> Spoil:
    def spoil() -> None:
        path = Path(LAST, "metadata.json")
        metadata = json.loads(path.read_text())
        for place, value in changes.items():
            *parents, key = place.split("__")
            node = metadata
            for parent in parents:
                node = node[parent]
            node[key] = value
        path.write_text(json.dumps(metadata))
        seal(LAST)

    return spoil


def change_state(name: str, value: Any) -> Spoil:
    return lambda: change_tensors(LAST, "optimizer", lambda tensors: tensors.update({name: value}))


def spoil_squares(tensors: dict[str, torch.Tensor]) -> None:
    tensors["0.exp_avg_sq"][0] = -1.0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change_metadata(counters__update="3"), "counters.update: Input should be a valid integer"),
        (change_metadata(counters__epoch=-1), "counters.epoch: "),
        (
            change_metadata(counters__more=1),
            "counters.more is from a later version of nmt; use that version",
        ),
        (change_metadata(counters=[]), "counters: "),
        (change_metadata(best=None), "best: "),
        (change_metadata(best__best="high"), "best.best: "),
        (change_metadata(metrics_end=-1), "metrics_end: "),
        (change_metadata(schedule={"factor": 1.0}), "schedule: factor"),
        (change_metadata(schedule={"end": -1.0}), "schedule: a value is negative or infinite"),
        (change_metadata(data__corpora=[]), "data.corpora: number differs"),
        (change_state("0.exp_avg", torch.zeros(1)), "optimizer: tensor '0.exp_avg' has shape"),
        (change_state("99.step", torch.tensor(1.0)), "optimizer: unexpected tensor '99.step'"),
        (change_state("0.step", torch.tensor(float("nan"))), "tensor '0.step' of optimizer has"),
        (change_state("0.step", torch.tensor(-1.0)), "tensor '0.step' is negative"),
        (change_state("x", torch.tensor(1.0)), "optimizer: unexpected tensor 'x'"),
        (lambda: change_tensors(LAST, "tally", dict.clear), "tally: tensor 'sums' is missing"),
        (lambda: change_tensors(LAST, "optimizer", spoil_squares), "'0.exp_avg_sq' is negative"),
    ],
)
def test_the_state_of_a_resume_is_checked(
    spoil: Spoil, reason: str, nmt: Any, in_copy: Path
) -> None:
    spoil()
    before = Path("runs/tiny/config.yaml").read_bytes()
    outcome = nmt("train", "tiny.yaml", "training.max_epochs=17", "--resume")
    outcome.assert_refused(LAST, reason)
    assert Path("runs/tiny/config.yaml").read_bytes() == before


def test_weights_of_start_from_and_ensembles_are_checked(nmt: Any, in_copy: Path) -> None:
    change_tensors(BEST, "model", set_first(with_value(float("nan"))))
    os.rename("runs/tiny", "runs/bad")
    bad = "runs/bad/checkpoints/best: tensor '"
    nmt("train", "tiny.yaml", "start_from=runs/bad").assert_refused(f"start_from: {bad}")


def test_invalid_metrics_file_is_refused(nmt: Any, in_copy: Path) -> None:
    os.unlink("runs/tiny/metrics.jsonl")
    os.mkfifo("runs/tiny/metrics.jsonl")
    outcome = nmt("train", "tiny.yaml", "training.max_epochs=17", "--resume")
    outcome.assert_refused("runs/tiny/metrics.jsonl: is not a regular file")


def set_number(name: str, value: float) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(-1)[0] = value

    return change


def test_a_lexicon_that_does_not_fit_the_run_is_refused(nmt: Any, in_copy: Path) -> None:
    assert nmt("lexicon", "runs/tiny", "--iterations", 1).code == 0
    lexicon = "runs/tiny/lexicon"
    whole = {path: path.read_bytes() for path in Path(lexicon).iterdir()}
    for change, reason in (
        (set_number("candidates", -1), "candidates has tokens outside the target vocabulary"),
        (set_number("candidates", 10**6), "candidates has tokens outside the target vocabulary"),
        (set_number("frequent", 2), "frequent has tokens outside the target vocabulary"),
        (set_number("probabilities", float("nan")), "probabilities are negative, infinite or NaN"),
        (set_number("probabilities", -0.5), "probabilities are negative, infinite or NaN"),
        (lambda tensors: tensors.pop("frequent"), "tensor 'frequent' is missing"),
        (
            lambda tensors: tensors.update(candidates=tensors["candidates"].long()),
            "tensor 'candidates' is int64, not int32",
        ),
        (
            lambda tensors: tensors.update(candidates=tensors["candidates"][1:].clone()),
            "tensor 'candidates' has shape",
        ),
        (
            lambda tensors: tensors.update(frequent=torch.zeros(10**6, dtype=torch.int32)),
            "above the limit of",
        ),
    ):
        change_tensors(lexicon, "model", change)
        outcome = nmt("translate", "runs/tiny", "--shortlist", stdin=b"one .\n")
        outcome.assert_refused(lexicon, reason, "`nmt lexicon runs/tiny`")
        for path, content in whole.items():
            path.write_bytes(content)
    assert nmt("translate", "runs/tiny", "--shortlist", stdin=b"one .\n").code == 0


def test_the_weights_of_an_ensemble_are_checked(nmt: Any, in_copy: Path) -> None:
    shutil.copytree("runs/tiny", "runs/other")
    change_tensors("runs/other/checkpoints/best", "model", set_first(with_value(float("nan"))))
    outcome = nmt("translate", "runs/tiny", "--ensemble", "runs/other", stdin=b"one .\n")
    outcome.assert_refused("runs/other/checkpoints/best: tensor '", "NaN or infinite values")


def claim_sparse() -> None:
    """Let the manifest say that a file of 20 GB is as it should be."""
    os.unlink(f"{BEST}/model.safetensors")
    sparse(f"{BEST}/model.safetensors")
    path = Path(BEST, "manifest.json")
    manifest = json.loads(path.read_text())
    manifest.pop("sha256")
    manifest["files"]["model.safetensors"]["size"] = 20 * 10**9
    path.write_bytes(compact(manifest | {"sha256": hashlib.sha256(compact(manifest)).hexdigest()}))


def claim_wide() -> None:
    """Let the configuration say that the model is far larger than its weights."""
    path = Path("runs/tiny/config.yaml")
    text = path.read_text()
    assert "hidden_size: 32" in text
    path.write_text(text.replace("hidden_size: 32", "hidden_size: 60000"))


def replace_by(kind: str, path: str) -> Spoil:
    def spoil() -> None:
        os.unlink(path)
        KINDS[kind](path)

    return spoil


def chain_configurations() -> None:
    """Let 20,000 configurations extend one another."""
    for number in range(20_000):
        Path(f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    os.replace("0.yaml", "tiny.yaml")


def repeat_aliases() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    return "\n".join(lines)


TRANSLATE = ("translate", "runs/tiny")
CHECK = ("check", "tiny.yaml")
RESUME = ("train", "tiny.yaml", "--resume", "training.max_epochs=17")
EXPORTED = ("translate", "tiny.onnx")
MANIFEST = Path(BEST, "manifest.json")

SWEEP: dict[str, tuple[tuple[str, ...], Spoil]] = {
    "claimed 20 GB": (TRANSLATE, claim_sparse),
    "claimed wide": (TRANSLATE, claim_wide),
    "many vocabulary lines": (
        TRANSLATE,
        lambda: describe_tokenizer([*SPECIALS, *map(str, range(3 * 10**6))]),
    ),
    "deep JSON": (TRANSLATE, lambda: MANIFEST.write_text("[" * 4_000_000)),
    "long JSON": (TRANSLATE, lambda: MANIFEST.write_text("[" + "[]," * 10**6 + "[]]")),
    "aliases in a run": (
        TRANSLATE,
        lambda: Path("runs/tiny/config.yaml").write_text(repeat_aliases()),
    ),
    "aliases": (CHECK, lambda: Path("tiny.yaml").write_text(repeat_aliases())),
    "extends": (CHECK, chain_configurations),
    **{
        f"{kind} {path}": (command, replace_by(kind, path))
        for kind in ("device", "sparse")
        for command, paths in {
            TRANSLATE: (
                f"{BEST}/model.safetensors",
                f"{BEST}/metadata.json",
                f"{TOKENIZER}/tokenizer.json",
                f"{TOKENIZER}/vocabulary.txt",
                "runs/tiny/config.yaml",
            ),
            RESUME: (f"{LAST}/optimizer.safetensors", f"{LAST}/metadata.json"),
            CHECK: ("tiny.yaml", "train.en", "valid.de"),
            EXPORTED: ("tiny.onnx",),
        }.items()
        for path in paths
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEP)
def test_refusal_takes_little_time_and_memory(name: str, in_copy: Path, measure: Any) -> None:
    arguments, spoil = SWEEP[name]
    if arguments == EXPORTED:
        assert measure(in_copy, "export", "runs/tiny", "-o", "tiny.onnx")[0] == 0
    shutil.copytree(in_copy, "again")  # a resume changes what it measures
    code, seconds, memory = measure(in_copy / "again", *arguments)
    assert code == 0
    spoil()
    code, seconds_then, memory_then = measure(in_copy, *arguments)
    assert code == 2
    assert seconds_then < seconds + 2.0
    assert memory_then < memory + 500e6


@pytest.mark.parametrize("name", ["environment.json", "results.json", "train.log"])
def test_pipe_at_an_output_does_not_block_training(name: str, nmt: Any, in_copy: Path) -> None:
    path = Path("runs/tiny", name)
    path.unlink()
    os.mkfifo(path)
    outcome = nmt("train", "tiny.yaml", "--resume", "training.max_epochs=17")
    if name == "train.log":
        outcome.assert_refused("train.log: is not a regular file; move it away, then resume")
    else:
        assert outcome.code == 0, outcome.err
        assert path.is_file()


def test_link_at_an_output_of_training_is_replaced(nmt: Any, in_copy: Path) -> None:
    Path("precious").write_text("mine")
    for name in ("environment.json", "results.json"):
        Path("runs/tiny", name).unlink()
        Path("runs/tiny", name).symlink_to("../../precious")
    outcome = nmt("train", "tiny.yaml", "--resume", "training.max_epochs=17")
    assert outcome.code == 0, outcome.err
    assert Path("precious").read_text() == "mine"
