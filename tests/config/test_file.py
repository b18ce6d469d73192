import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from nmt.config.data import CorpusConfig
from nmt.config.experiment import Config
from nmt.config.file import dump_config, inherited_from, load_config
from nmt.core.errors import ConfigError

SMALLEST = """\
run: runs/x
data:
  train: {source: a.de, target: a.en}
  valid: {source: b.de, target: b.en}
"""

FILES = {"source": "a.de", "target": "a.en"}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str, name: str = "x.yaml", base: str = SMALLEST) -> Path:
        (tmp_path / name).write_text(base + text, encoding="utf-8")
        return tmp_path / name

    return write_file


def refused(path: Path, *overrides: str) -> str:
    """The message, which is one line, without the folder of the file."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}{os.sep}", "")


def test_smallest_file_loads(write: Write) -> None:
    assert load_config(write("")).run == "runs/x"


def test_byte_order_mark_and_crlf_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())
    assert load_config(path).run == "runs/x"


def test_declared_type_determines_the_meaning_of_text(write: Write) -> None:
    config = load_config(
        write(
            "seed: 1_000\n"
            "training: {optimizer: {learning_rate: 3e-4}, tensorboard: on, max_updates: null}\n",
            base=SMALLEST.replace("a.de", "no").replace("runs/x", "010"),
        )
    )
    assert config.data.train[0].source == "no"
    assert config.run == "010"
    assert config.seed == 1_000
    assert config.training.optimizer.options["learning_rate"] == 3e-4
    assert config.training.tensorboard is True
    assert config.training.max_updates is None


class TestOverrides:
    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            (
                ["seed=1", "device=cpu", "seed=1"],
                "seed: given twice ('seed=1' and 'seed=1'); give it once",
            ),
            (
                ["data.train.source=c", " data.train.source = d"],
                "data.train.source: given twice ('data.train.source=c' and "
                "' data.train.source = d'); give it once",
            ),
            (
                ["model.encoder.hidden_size=8", "model.encoder={num_layers: 2}"],
                None,
            ),
            (
                ["model.decoder.style.feed=false", "model.decoder.style=conditional"],
                "override 'model.decoder.style.feed=false': has no effect, as the later override "
                "'model.decoder.style=conditional' replaces all of model.decoder.style; "
                "swap their order",
            ),
            (
                ["training.early_stopping.patience=3", "training.early_stopping=null"],
                "override 'training.early_stopping.patience=3': has no effect, as the later "
                "override 'training.early_stopping=null' replaces all of training.early_stopping; "
                "swap their order",
            ),
        ],
    )
    def test_every_override_is_applied(
        self, overrides: list[str], message: str | None, write: Write
    ) -> None:
        if message is None:
            assert load_config(write(""), overrides).model.encoder.options["hidden_size"] == 8
        else:
            assert refused(write(""), *overrides) == message

    def test_dotted_keys_reach_everything(self, write: Write) -> None:
        config = load_config(
            write("model: {attention: {score: additive}}\n"),
            [
                "model.attention.score=dot",
                "training.optimizer.learning_rate=3e-4",
                "data.train={source: c, target: d}",
                "training.early_stopping=null",
                "training.validation.metrics=[bleu, chrf]",
                "run=a=b",
            ],
        )
        assert config.model.attention.score.name == "dot"
        assert config.training.optimizer.options["learning_rate"] == 3e-4
        assert config.data.train[0].source == "c"
        assert config.training.early_stopping is None
        assert [metric.name for metric in config.training.validation.metrics] == ["bleu", "chrf"]
        assert config.run == "a=b"

    def test_one_file_of_a_corpus_is_replaced(self, write: Write) -> None:
        data = load_config(write(""), ["data.valid.source=c", "data.train.source=d"]).data
        assert data.valid == CorpusConfig(source="c", target="b.en")
        assert data.train == [CorpusConfig(source="d", target="a.en")]

    @pytest.mark.parametrize("override", ["seed=", "run= "])
    def test_must_have_a_value(self, write: Write, override: str) -> None:
        assert refused(write(""), override) == (
            f"override {override!r}: has no value; write null for nothing, and \"''\" (with "
            "both kinds of quotes) for an empty string"
        )

    @pytest.mark.parametrize("override", ["seed", "=1", "a..b=1", ".a=1"])
    def test_must_be_key_and_value(self, write: Write, override: str) -> None:
        assert refused(write(""), override) == (
            f"override {override!r}: must be key=value with a dotted key, "
            "as in model.attention.score=dot"
        )

    def test_are_named_in_messages(self, write: Write) -> None:
        assert refused(write("seed: 5\n"), "seed=x") == (
            "override 'seed=x': seed: must be a whole number, not 'x'"
        )
        assert refused(write(""), "seed=[").startswith("override 'seed=[': line 1: not YAML")

    def test_cannot_change_elements_of_lists(self, write: Write) -> None:
        base = "run: x\ndata:\n  train: [{tsv: a}]\n"
        assert refused(write("", base=base), "data.train.tsv=b") == (
            "override 'data.train.tsv=b': data.train is a list; "
            "set all of it, as in 'data.train=[...]'"
        )


class TestExtends:
    def test_mappings_merge_and_other_values_replace(self, write: Write) -> None:
        write(
            "seed: 5\ntraining: {validation: {metrics: [bleu, ter]}, max_epochs: 3}\n", "base.yaml"
        )
        text = "extends: base.yaml\ntraining: {validation: {metrics: [bleu]}}\n"
        config = load_config(write(text, base=""))
        assert config.seed == 5
        assert config.training.max_epochs == 3
        assert [metric.name for metric in config.training.validation.metrics] == ["bleu"]

    @pytest.mark.parametrize(
        "below",
        [
            {"train": {"tsv": "a.tsv"}, "valid": {"tsv": "b.tsv"}},
            {"train": [FILES, FILES], "valid": FILES, "test": FILES},
            {"train": {**FILES, "alignments": "a.links", "weight": "2"}, "valid": FILES},
        ],
    )
    @pytest.mark.parametrize("above", [{"source": "c.de", "target": "c.en"}, {"tsv": "c.tsv"}])
    def test_a_corpus_is_replaced(
        self, write: Write, below: dict[str, Any], above: dict[str, str]
    ) -> None:
        text = f"run: runs/x\ndata: {json.dumps(below)}\n"
        resolved = dump_config(load_config(write(text, "written.yaml", base="")))
        for base in (text, resolved):
            write(base, "base.yaml", base="")
            data = dict.fromkeys(("train", "valid", "test"), above)
            given = f"extends: base.yaml\ndata: {json.dumps(data)}\n"
            merged = load_config(write(given, base="")).data
            assert [*merged.train, merged.valid, merged.test] == 3 * [CorpusConfig(**above)]

    def test_replaced_corpus_keeps_nothing(self, write: Write) -> None:
        write("", "base.yaml")
        text = "extends: base.yaml\ndata: {valid: {source: c.de}}\n"
        assert refused(write(text, base="")) == ("x.yaml: data.valid.target: is missing")

    def test_chains_are_relative_to_each_file(self, tmp_path: Path, write: Write) -> None:
        (tmp_path / "deep").mkdir()
        write("seed: 1\n", "base.yaml")
        write("extends: ../base.yaml\nseed: 2\n", "deep/middle.yaml", base="")
        assert load_config(write("extends: deep/middle.yaml\n", base="")).seed == 2

    def test_circular_extends_is_refused(self, write: Write) -> None:
        write("extends: x.yaml\n", "y.yaml", base="")
        assert refused(write("extends: y.yaml\n", base="")) == (
            "y.yaml: extends: x.yaml: circular; remove one of the `extends`"
        )

    def test_missing_base_is_named(self, write: Write) -> None:
        assert refused(write("extends: gone.yaml\n")) == (
            "x.yaml: extends: gone.yaml: no such file; give its path relative to the "
            "file that extends it"
        )

    def test_must_be_one_name(self, write: Write) -> None:
        assert refused(write("extends: [a, b]\n")) == (
            "x.yaml: extends: must be one file name, not a list"
        )

    def test_message_names_the_file_that_has_the_value(self, write: Write) -> None:
        write("seed: x\n", "base.yaml")
        assert refused(write("extends: base.yaml\n", base="")).startswith("base.yaml: seed: ")
        assert refused(write("extends: base.yaml\nseed: y\n", base="")).startswith("x.yaml: seed: ")

    def test_message_names_the_extended_file_of_a_conflict(self, write: Write) -> None:
        write("training: {validation: {metrics: [chrf]}}\n", "base.yaml")
        text = "extends: base.yaml\ntraining: {validation: {every: 3}}\n"
        assert refused(write(text, base="")).startswith(
            "x.yaml (with the files it extends: base.yaml): training.validation.best: 'bleu' is not"
        )

    def test_the_file_of_an_inherited_option_is_known(self, write: Write) -> None:
        base = write("seed: 3\n", "base.yaml")
        path = write("extends: base.yaml\ndevice: cpu\n", base="")
        for key in ("seed", "data.train", "data.train.source", "run"):
            assert inherited_from(path, [], key) == str(base)
        for key in ("device", "precision", "data.test", "nothing", "", "data.train[3].source"):
            assert inherited_from(path, [], key) is None
        assert inherited_from(path, ["seed=4"], "seed") is None
        corpora = "run: r\ndata: {train: [{source: a, target: b}, {tsv: c}]}\n"
        base = write("", "base.yaml", base=corpora)
        assert inherited_from(path, [], "data.train[1].tsv") == str(base)


class TestPlugInsMerge:
    def merged(self, write: Write, below: str, above: str) -> Config:
        write(below, "base.yaml")
        return load_config(write(f"extends: base.yaml\n{above}", base=""))

    def test_options_of_the_same_one_are_kept(self, write: Write) -> None:
        config = self.merged(
            write,
            "training: {optimizer: {name: sgd, momentum: 0.5}}\n",
            "training: {optimizer: {name: sgd, learning_rate: 2}}\n",
        )
        options = config.training.optimizer.options
        assert (options["momentum"], options["learning_rate"]) == (0.5, 2.0)

    def test_options_of_another_one_are_not(self, write: Write) -> None:
        config = self.merged(
            write,
            "training: {optimizer: {name: sgd, learning_rate: 0.7}}\n",
            "training: {optimizer: {name: adam}}\n",
        )
        assert config.training.optimizer.options["learning_rate"] == 0.001

    def test_options_of_another_encoder_are_not(self, write: Write) -> None:
        grids = "{grids: a.npz, target: a.en}"
        config = self.merged(
            write,
            "model: {encoder: {num_layers: 2, hidden_size: 8}}\n",
            f"data: {{train: {grids}, valid: {grids}}}\ntokenizer: {{shared: false}}\n"
            "model: {encoder: {name: grid, channels: 3}}\n",
        )
        assert config.model.encoder.name == "grid"
        assert config.model.encoder.options["hidden_size"] == 256

    def test_default_plug_in_inside_variants(self, write: Write) -> None:
        below = "model: {encoder: {cell: {fused: false}}}\n"
        same = self.merged(write, below, "model: {encoder: {cell: {name: gru}}}\n")
        assert same.model.encoder.options["cell"].options == {"fused": False}
        other = self.merged(write, below, "model: {encoder: {cell: {name: lstm}}}\n")
        assert other.model.encoder.options["cell"].options == {"fused": True}
        below = "model: {encoder: {name: recurrent, cell: {fused: false}}}\n"
        same = self.merged(write, below, "model: {encoder: {cell: {name: gru}}}\n")
        assert same.model.encoder.options["cell"].options == {"fused": False}
        below = "model: {attention: {alignment: {temperature: 2}}}\n"
        same = self.merged(write, below, "model: {attention: {alignment: {name: softmax}}}\n")
        assert same.model.attention.alignment.options["temperature"] == 2.0

    def test_no_name_is_the_name_of_the_default(self, write: Write) -> None:
        below = "training: {optimizer: {learning_rate: 0.7}}\n"
        same = self.merged(write, below, "training: {optimizer: {name: adam, beta1: 0.5}}\n")
        assert same.training.optimizer.options["learning_rate"] == 0.7
        other = self.merged(write, below, "training: {optimizer: {name: adamw}}\n")
        assert other.training.optimizer.options["learning_rate"] == 0.001

    def test_short_form_is_refined_and_replaces(self, write: Write) -> None:
        refined = self.merged(
            write, "model: {encoder: {cell: gru}}\n", "model: {encoder: {cell: {fused: false}}}\n"
        )
        assert refined.model.encoder.options["cell"].options == {"fused": False}
        replaced = self.merged(
            write, "model: {encoder: {cell: {fused: false}}}\n", "model: {encoder: {cell: lstm}}\n"
        )
        assert replaced.model.encoder.options["cell"].name == "lstm"

    def test_another_tokenizer_keeps_common_options(self, write: Write) -> None:
        config = self.merged(
            write,
            "tokenizer: {lowercase: true, model_type: unigram, vocabulary_size: 99}\n",
            "tokenizer: {name: words}\n",
        )
        assert config.tokenizer.lowercase is True
        assert config.tokenizer.model_dump()["vocabulary_size"] != 99


class TestDump:
    def test_loads_to_an_equal_config(self, write: Write, tmp_path: Path) -> None:
        config = load_config(
            write("model: {attention: {score: dot}}\n"), ["training.optimizer.learning_rate=3e-7"]
        )
        (tmp_path / "dumped.yaml").write_text(dump_config(config), encoding="utf-8")
        assert load_config(tmp_path / "dumped.yaml") == config

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
    @given(
        name=st.text(
            st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="$"),
            min_size=1,
        ),
        rate=st.floats(min_value=0.0, max_value=1_000.0, exclude_min=True),
        ratio=st.none() | st.floats(min_value=1.0, max_value=9.0),
    )
    def test_any_values_are_read_back(
        self, tmp_path: Path, name: str, rate: float, ratio: float | None
    ) -> None:
        config = Config.model_validate(
            {
                "run": name,
                "data": {
                    "train": {"tsv": name},
                    "valid": {"tsv": "no"},
                    "filters": {"max_length_ratio": ratio},
                },
                "training": {"optimizer": {"name": "adam", "learning_rate": rate}},
            }
        )
        (tmp_path / "dumped.yaml").write_text(dump_config(config), encoding="utf-8")
        assert load_config(tmp_path / "dumped.yaml") == config

    def test_everything_is_in_it(self, write: Write) -> None:
        text = dump_config(load_config(write("")))
        assert "learning_rate: 0.001" in text
        assert "version: 2" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model: {atention: {score: dot}}\n",
            "x.yaml: model.atention: unknown option 'atention' (did you mean 'attention'?); "
            "allowed: embedding, encoder, bridge, attention, decoder",
        ),
        (
            "model: {encoder: {cell: grru}}\n",
            "x.yaml: model.encoder.cell: unknown cell 'grru' (did you mean 'gru'?); "
            "allowed: gru, lstm, rnn, layer_norm_gru, layer_norm_lstm, deep_gru, min_gru, "
            "min_lstm, sru, ssru, zoneout_gru, zoneout_lstm",
        ),
        (
            "model: {encoder: {cell: {name: gru, fusd: 1}}}\n",
            "x.yaml: model.encoder.cell.fusd: unknown option 'fusd' of cell 'gru' "
            "(did you mean 'fused'?); allowed: fused",
        ),
        (
            "model: {encoder: {hidden_size: big}}\n",
            "x.yaml: model.encoder.hidden_size: must be a whole number, not 'big'",
        ),
        (
            "model:\n",
            "x.yaml: model: must be a mapping (`key: value`), not null",
        ),
        (
            "seed: -1\ndevice: gpu\nprecision: float16\n",
            "x.yaml: seed: must be at least 0, not '-1' (and 2 more)",
        ),
        ("seed: 1\nseed: 2\n", "x.yaml: line 6: duplicate key 'seed' (first in line 5)"),
        (
            "version: 9\nstrange: 1\n",
            "x.yaml: version 9 is not supported, only up to 2; use the version of nmt that it "
            "was written for, or adapt it to configs/reference.yaml",
        ),
    ],
)
def test_mistakes_are_one_line(write: Write, text: str, message: str) -> None:
    assert refused(write(text)) == message


def test_place_in_a_corpus_is_as_written(write: Write) -> None:
    one = "run: x\ndata:\n  train: {source: a}\n"
    many = "run: x\ndata:\n  train: [{tsv: a}, {source: a}]\n"
    assert refused(write("", base=one)) == "x.yaml: data.train.target: is missing"
    assert refused(write("", base=many)) == "x.yaml: data.train[1].target: is missing"
    guided = "training: {guided_attention: {}}\n"
    assert refused(write(guided)) == (
        "x.yaml: data.train.alignments: is missing, but training.guided_attention needs it; set it"
    )


def test_missing_option_names_the_given_file(write: Write) -> None:
    assert refused(write("", base="run: x\n"), "seed=2") == "x.yaml: data: is missing"
    assert refused(write("", base="")) == "x.yaml: run: is missing (and 1 more)"


def test_options_given_in_python_override_all_others(write: Write) -> None:
    path = write("decoding: {beam_size: 7, length_penalty: {name: gnmt, alpha: 0.5}}\n")
    options = {"decoding": {"n_best": 2, "length_penalty": {"alpha": 0.7}}}
    config = load_config(path, ["decoding.n_best=3"], options)
    assert (config.decoding.beam_size, config.decoding.n_best) == (7, 2)
    assert config.decoding.length_penalty.options == {"alpha": 0.7}
    with pytest.raises(ConfigError, match=r"^options: decoding\.n_best: must be at most beam_size"):
        load_config(path, options={"decoding": {"n_best": 9}})


def test_home_is_expanded_in_every_path(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    config = load_config(
        write(
            "start_from: ~/base\ntokenizer: {source_path: ~/t}\ndecoding: {replace_unknown: true}\n"
        ),
        ["run=~/x", "data.train.source=~/a", "data.cache=~", "decoding.dictionary=~/d.tsv"],
    )
    assert config.run == "/home/me/x"
    assert config.start_from == "/home/me/base"
    assert config.data.train[0].source == "/home/me/a"
    assert config.data.cache is None, "~ alone is null in YAML"
    assert config.tokenizer.source_path == "/home/me/t"
    assert config.decoding.dictionary == "/home/me/d.tsv"


def test_home_is_expanded_in_extends(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("seed: 5\n")
    monkeypatch.setenv("HOME", str(path.parent))
    (path.parent / "sub").mkdir()
    (path.parent / "sub" / "y.yaml").write_text(f"extends: ~/{path.name}\n")
    assert load_config(path.parent / "sub" / "y.yaml").seed == 5


@pytest.mark.parametrize("path", ["$HOME/x", "${HOME}/x", "/data/$USER", "a$b"])
@pytest.mark.parametrize("key", ["run", "data.train.source", "data.cache", "start_from"])
def test_a_variable_in_a_path_is_refused(write: Write, key: str, path: str) -> None:
    message = refused(write(""), f"{key}={path}")
    variable = path[path.index("$") :].partition("/")[0]
    assert message.endswith(
        f"{key}: {path!r}: {variable} is not expanded; write the path itself, or ~ for home"
    )


def test_dollar_without_a_variable_is_allowed(write: Write) -> None:
    assert load_config(write(""), ["run=a$/5$ b"]).run == "a$/5$ b"


def test_file_must_hold_options(write: Write) -> None:
    assert refused(write("[a]", base="")) == "x.yaml: must be a mapping (`key: value`), not a list"
    assert (
        refused(write("hello", base="")) == "x.yaml: must be a mapping (`key: value`), not a string"
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"run: K\xf6ln\n")
    assert refused(tmp_path / "latin.yaml") == ("latin.yaml: not UTF-8 (byte 6); save it as UTF-8")
    assert refused(tmp_path / "gone.yaml") == "gone.yaml: no such file"
    (tmp_path / "folder.yaml").mkdir()
    assert refused(tmp_path / "folder.yaml") == "folder.yaml: is a folder, not a YAML file"
    assert "cannot be read: " in refused(tmp_path / ("x" * 300))
    assert "cannot be read: not a valid file name" in refused(tmp_path / "x\0y")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert refused(tmp_path / "pipe.yaml") == ("pipe.yaml: cannot be read: not a regular file")
    with (tmp_path / "sparse.yaml").open("wb") as file:
        file.truncate(20 * 10**9)
    assert refused(tmp_path / "sparse.yaml") == (
        "sparse.yaml: cannot be read: larger than 500,000 bytes, the limit here; give a YAML "
        "configuration"
    )


@pytest.mark.parametrize("kind", ["pipe", "sparse", "device"])
def test_extended_file_must_be_regular_and_small(write: Write, kind: str, tmp_path: Path) -> None:
    path = write("", base="extends: other.yaml\n")
    other = path.parent / "other.yaml"
    if kind == "pipe":
        os.mkfifo(other)
    elif kind == "device":
        other.symlink_to("/dev/zero")
    else:
        with other.open("wb") as file:
            file.truncate(20 * 10**9)
    assert refused(path).startswith("other.yaml: cannot be read: ")


def test_a_chain_of_files_is_refused_early(write: Write) -> None:
    path = write("", base="run: x\n")
    for number in range(30):
        (path.parent / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    (path.parent / "30.yaml").write_text("extends: missing.yaml\n")
    assert refused(path.parent / "0.yaml") == (
        "0.yaml: extends: chain of more than 20 files; merge some of them"
    )
    (path.parent / "19.yaml").write_text("run: last\n")
    assert refused(path.parent / "0.yaml") == "0.yaml: data: is missing"


def test_number_of_thousands_of_digits_is_refused(write: Write) -> None:
    for number in ("9" * 100_000, "9" * 100_000 + "e9"):
        assert "seed: must be a whole number, not '999" in refused(write(""), f"seed={number}")


def test_file_without_permission(write: Write, forbid: Callable[[Path], None]) -> None:
    path = write("")
    forbid(path)
    assert refused(path) == "x.yaml: cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("lots", "must be a whole number of at least 1, 'auto' or null, not 'lots'"),
        ("1.5", "must be a whole number of at least 1, 'auto' or null, not '1.5'"),
        ("0", "must be a whole number of at least 1, 'auto' or null, not '0'"),
        ("[1]", "must be a whole number of at least 1, 'auto' or null, not ['1']"),
    ],
)
def test_alternatives_of_batch_tokens_are_named(value: str, wrong: str, write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(""), [f"training.batch_tokens={value}"])
    origin = f"override 'training.batch_tokens={value}'"
    assert str(caught.value) == f"{origin}: training.batch_tokens: {wrong}"
    path = write(f"training: {{batch_tokens: {value}, seed: 1}}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: training.")


def _leaves(tree: Any, above: str) -> Iterator[str]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{above}.{key}" if above else key)
    else:
        yield above


# Of pydantic, of typing and of Python: what a person who writes YAML has not heard of.
LIBRARY_WORDS = re.compile(
    r"Input should|constrained|literal\[|[Uu]nion|valid (integer|string|number|list)|unable to|"
    r"NoneType|instance of|\bdict\b|\bint\b|\bstr\b|input_type"
)


@pytest.mark.parametrize("value", ["lots", "[{a: 1}]"])
def test_no_message_comes_from_pydantic(value: str, write: Write) -> None:
    path = write("")
    keys = list(_leaves(load_config(path).model_dump(mode="json"), ""))
    refused = 0
    for key in keys:
        try:
            load_config(path, [f"{key}={value}"])
        except ConfigError as error:
            message, refused = str(error), refused + 1
            assert not LIBRARY_WORDS.search(message), message
            assert "\n" not in message
    assert refused > len(keys) / 2
