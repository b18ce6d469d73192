import os
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from nmt.config.data import CorpusConfig
from nmt.config.experiment import CONFIG_VERSION, Config
from nmt.config.messages import explain
from nmt.config.registry import PlugIn

FILES = {"source": "a.de", "target": "a.en"}
SMALLEST = {"run": "runs/x", "data": {"train": FILES, "valid": FILES}}


def make(**groups: Any) -> Config:
    return Config.model_validate(SMALLEST | groups)


def problem(**groups: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**groups)
    details = caught.value.errors()[0]
    return ".".join(map(str, details["loc"])) + ": " + explain(details)


def test_run_and_data_are_enough() -> None:
    config = make()
    assert config.version == CONFIG_VERSION
    assert config.model.encoder.options["cell"].name == "gru"
    assert [corpus.source for corpus in config.data.train] == ["a.de"]


def test_configurations_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make().seed = 2


def test_options_without_a_name_belong_to_the_default_plug_in() -> None:
    assert make(training={"optimizer": {"learning_rate": 0.5}}).training.optimizer.name == "adam"
    assert make(tokenizer={"vocabulary_size": 9}).tokenizer.name == "sentencepiece"


def test_loss_terms_are_those_that_are_on_in_the_order_of_their_sum() -> None:
    assert list(make().training.loss_terms()) == ["label_smoothing", "reinforce"]
    training = make(
        training={
            "label_smoothing": 0.0,
            "r_drop": 2.0,
            "coverage_loss": 0.5,
            "guided_attention": {"weight": 3.0},
            "losses": [{"name": "entropy", "weight": 0.25}],
        },
        data=SMALLEST["data"] | {"train": FILES | {"alignments": "a.align"}},
    ).training
    weights = {key: term.options["weight"] for key, term in training.loss_terms().items()}
    assert list(weights.items()) == [
        ("coverage_loss", 0.5),
        ("r_drop", 2.0),
        ("guided_attention", 3.0),
        ("reinforce", 1.0),
        ("losses[0]", 0.25),
    ]
    assert training.loss_terms()["guided_attention"].options["loss"] == "cross_entropy"


def test_corpora() -> None:
    assert make(data={"train": [FILES, {"tsv": "b.tsv"}], "valid": FILES}).data.train[1].tsv
    allowed = "allowed: alignments, alignment_units, weight"
    for corpus, message in [
        ({"source": "a"}, "target: is missing"),
        ({"target": "a"}, "source: is missing"),
        ({"grids": "a"}, "target: is missing"),
        ({"weight": 2}, "source: is missing"),
        (
            {"tsv": "a", "target": "b"},
            f"target: unknown option 'target' of corpus format 'tsv'; {allowed}, tsv",
        ),
        (
            {"source": "a", "target": "b", "wieght": "2"},
            "wieght: unknown option 'wieght' of corpus format 'text' (did you mean 'weight'?); "
            f"{allowed}, source, target",
        ),
    ]:
        assert problem(data={"train": corpus}) == f"data.train.0.{message}"
    several = "cannot be combined; set all but one to null"
    for corpus, formats in [
        ({"source": "a", "target": "b", "tsv": "c"}, "source and tsv"),
        ({"source": "a", "grids": "b", "target": "c"}, "source and grids"),
        ({"tsv": "a", "jsonl": "b"}, "tsv and jsonl"),
    ]:
        assert problem(data={"train": corpus}) == f"data.train.0: {formats} {several}"
    assert problem(data={"train": []}) == "data.train: must not be empty"


def test_json_lines() -> None:
    (corpus,) = make(data={"train": {"jsonl": "~/a.jsonl"}, "valid": FILES}).data.train
    home = os.path.expanduser("~/a.jsonl")
    assert (corpus.name, corpus.files()) == ("jsonl", {"jsonl": home})
    assert corpus.options == {"jsonl": home, "source_key": "source", "target_key": "target"}
    assert problem(data={"train": {"jsonl": "a", "source_kee": "b"}}) == (
        "data.train.0.source_kee: unknown option 'source_kee' of corpus format 'jsonl' (did you "
        "mean 'source_key'?); allowed: alignments, alignment_units, weight, jsonl, source_key, "
        "target_key"
    )
    assert problem(data={"train": {"jsonl": "$A"}}) == (
        "data.train.0.jsonl: '$A': $A is not expanded; write the path itself, or ~ for home"
    )


def test_a_format_may_be_named() -> None:
    data = make(data={"train": {"name": "tsv", "tsv": "a"}, "valid": FILES}).data
    assert data.train == [CorpusConfig(tsv="a")]
    assert problem(data={"train": {"name": "jsnol", "jsonl": "a"}}) == (
        "data.train.0: unknown corpus format 'jsnol' (did you mean 'jsonl'?); allowed: text, tsv, "
        "grids, jsonl"
    )


def test_paths_must_be_valid_file_names() -> None:
    assert problem(run="") == "run: must not be empty"
    assert problem(run="a\0b") == "run: must not contain NUL characters"


def test_batch_size_is_in_tokens_in_sentences_or_both() -> None:
    make(training={"batch_tokens": None, "batch_sentences": 8})
    make(training={"batch_tokens": 100, "batch_sentences": 8})
    assert problem(training={"batch_tokens": None}) == (
        "training.batch_tokens: neither batch_tokens nor batch_sentences is set; set one, or both"
    )


def test_gradient_precision_of_ranks() -> None:
    make(training={"ranks": {"gradients": "bfloat16"}})
    told = problem(training={"ranks": {"gradients": "float16"}})
    assert told.startswith(
        "training.ranks.gradients: must be 'float32' or 'bfloat16', not 'float16'"
    )


def test_training_must_end() -> None:
    make(training={"max_epochs": None})
    assert problem(training={"max_epochs": None, "early_stopping": None}) == (
        "training.max_epochs: training would never end; "
        "set max_epochs, max_updates or early_stopping"
    )


def test_best_must_be_a_measured_metric() -> None:
    make(training={"validation": {"best": "loss"}, "early_stopping": {"metric": "loss"}})
    rest = "(list others in training.validation.metrics)"
    assert problem(training={"validation": {"best": "chrf"}}) == (
        f"training.validation.best: 'chrf' is not measured; allowed: loss, bleu {rest}"
    )
    assert (
        problem(
            training={
                "validation": {"metrics": ["chrf"], "best": "chrf"},
                "early_stopping": {"metric": "bleu"},
            }
        )
        == f"training.early_stopping.metric: 'bleu' is not measured; allowed: loss, chrf {rest}"
    )


def test_an_average_needs_data_to_be_measured_on() -> None:
    training = {
        "early_stopping": None,
        "validation": {"metrics": [], "best": "loss"},
        "checkpoints": {"average_last": 2},
    }
    assert problem(data={"train": FILES}, training=training) == (
        "training.checkpoints.average_last: needs data.valid to compare the average; set it to 0"
    )


def test_largest_seed_is_accepted_by_torch() -> None:
    torch.manual_seed(make(seed=2**64 - 1).seed)
    assert problem(seed=2**64) == f"seed: must be less than {2**64:,}, not {2**64}"


def test_validation_needs_data() -> None:
    without = {"validation": {"metrics": [], "best": "loss"}, "early_stopping": None}
    make(data={"train": FILES}, training=without)
    sentence = (
        "data.valid: is missing, but validation needs it; to train without it, set "
        "training.early_stopping=null training.validation.metrics=[] training.validation.best=loss"
    )
    assert problem(data={"train": FILES}) == sentence
    stopping = without | {"early_stopping": {"metric": "loss"}}
    assert problem(data={"train": FILES}, training=stopping) == sentence


def test_scheduled_sampling_must_end_after_its_start() -> None:
    assert problem(training={"scheduled_sampling": {"start": 5, "end": 5}}) == (
        "training.scheduled_sampling.end: must be more than start (5), not 5"
    )


def test_decoding() -> None:
    assert problem(decoding={"n_best": 6}) == (
        "decoding.n_best: must be at most beam_size (5), not 6"
    )
    assert problem(decoding={"min_length": 9, "max_length": 8}) == (
        "decoding.min_length: must be at most max_length (8), not 9"
    )


@pytest.mark.parametrize(("tie", "other"), [("all", "target"), ("embeddings", "none")])
def test_one_embedding_for_both_sides_needs_one_vocabulary(tie: str, other: str) -> None:
    tied = {"embedding": {"tie": tie}}
    make(model=tied)
    make(model={"embedding": {"tie": other}}, tokenizer={"shared": False})
    assert problem(model=tied, tokenizer={"shared": False}) == (
        f"model.embedding.tie: {tie!r} needs a shared vocabulary; "
        f"set tokenizer.shared: true, or tie: {other}"
    )


def test_shared_tokenizer_has_one_path() -> None:
    assert problem(tokenizer={"target_path": "x"}) == (
        "tokenizer.target_path: needs separate tokenizers; set source_path, or shared: false"
    )


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:3"])
def test_devices(device: str) -> None:
    assert make(device=device).device == device


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", "cpu:0"])
def test_unknown_devices(device: str) -> None:
    assert problem(device=device) == (
        f"device: unknown device {device!r}; allowed: auto, cpu, cuda, cuda:N"
    )


def test_version_is_the_present_one() -> None:
    assert problem(version="3") == "version: must be at most 2, not '3'"


@pytest.mark.parametrize("name", ["dot", "scaled_dot"])
def test_a_dot_product_needs_states_of_one_size(name: str) -> None:
    attention: dict[str, Any] = {"score": name}
    sizes: dict[str, Any] = {"encoder": {"hidden_size": 96}, "decoder": {"hidden_size": 128}}
    message = problem(model={"attention": attention, **sizes})
    assert message == (
        f"model.attention.score: {name!r} needs decoder and encoder states of equal size, not 128 "
        "and 192; set model.decoder.hidden_size: 192, or model.attention.score: general (which "
        "earlier versions used under this name)"
    )
    message = problem(model={"attention": attention | {"num_heads": 2}, **sizes})
    assert "not 128 and 192 (64 and 96 for each head); set" in message
    grid = {"name": "grid", "channels": 1, "hidden_size": 64}
    files = {"train": {"grids": "a.npz", "target": "a"}}
    groups = {"data": {**files, "valid": files["train"]}, "tokenizer": {"shared": False}}
    message = problem(model={"attention": attention, "encoder": grid}, **groups)
    assert "not 512 and 64; set model.decoder.hidden_size: 64" in message
    sizes["decoder"]["hidden_size"] = 192
    make(model={"attention": attention | {"num_heads": 2}, **sizes})
    make(model={"attention": {"score": "general"}, "encoder": grid}, **groups)


def test_impossible_attentions_are_refused() -> None:
    for alignment in ("hard", "gumbel", "monotonic"):
        options = {"score": "uniform", "alignment": alignment}
        message = problem(model={"attention": options})
        assert message.startswith("model.attention.alignment: ") and repr(alignment) in message
        assert "; use softmax, for example" in message
    message = problem(model={"attention": {"num_heads": 3}})
    assert message == (
        "model.attention.num_heads: must divide model.decoder.hidden_size (512), not 3; "
        "the nearest is 2"
    )
    message = problem(model={"attention": {"num_heads": 2, "score": "uniform"}})
    assert "whose heads are all equal" in message
    message = problem(model={"decoder": {"style": "sutskever"}})
    assert message.startswith("model.decoder.style: ") and "model.attention: null" in message
    without = {"decoder": {"style": "sutskever"}, "attention": None}
    assert make(model=without).model.attention is None
    assert problem(model=without | {"bridge": "zero"}) == (
        "model.bridge: 'zero' does not pass the source to 'sutskever', which has no attention; "
        "use final, for example"
    )


def test_attention_losses_need_an_attention() -> None:
    for key, value in (("guided_attention", {}), ("coverage_loss", 1.0)):
        message = problem(model={"attention": None}, training={key: value})
        assert message.startswith(f"training.{key}: needs attention")
    message = problem(training={"guided_attention": {}})
    assert message.startswith("data.train.0.alignments: is missing")
    aligned = {"train": FILES | {"alignments": "links"}, "valid": FILES}
    assert make(data=aligned, training={"guided_attention": {}}).training.guided_attention


def test_guided_attention_needs_a_guidable_alignment() -> None:
    data = {"train": FILES | {"alignments": "links"}, "valid": FILES}
    squared = {"guided_attention": {"loss": "squared_error"}}
    for alignment in ("hard", "gumbel", "local_m"):
        model = {"attention": {"alignment": alignment}}
        message = problem(data=data, model=model, training=squared)
        assert message == (
            f"training.guided_attention: cannot train the alignment {alignment!r}, whose other "
            "weights are always 0; use softmax, for example"
        )
    for alignment in ("sparsemax", "entmax", "local_p"):
        model = {"attention": {"alignment": alignment}}
        message = problem(data=data, model=model, training={"guided_attention": {}})
        assert message == (
            f"training.guided_attention.loss: cannot train the weights of {alignment!r} "
            "that are exactly 0; use squared_error"
        )
        make(data=data, model=model, training=squared)
    uniform = {"attention": {"score": "uniform"}}
    for key, value in (("guided_attention", {}), ("coverage_loss", 1.0)):
        assert problem(data=data, model=uniform, training={key: value}) == (
            f"training.{key}: cannot train the score 'uniform', which is constant; use general, "
            "for example"
        )


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_recurrent_dropout_needs_gates_that_read_the_state(side: str) -> None:
    for cell in ("min_gru", "min_lstm", "ssru"):
        make(model={side: {"cell": cell}})
        assert problem(model={side: {"cell": cell, "recurrent_dropout": 0.1}}) == (
            f"model.{side}.recurrent_dropout: is not supported by the cell {cell!r}, whose gates "
            "do not read the state; set it to 0"
        )
    other = {"encoder": "decoder", "decoder": "encoder"}[side]
    for cell in ("sru", "zoneout_gru", "gru"):
        dropped = {"cell": cell, "recurrent_dropout": 0.1}
        make(model={side: dropped, other: {"cell": "min_gru"}})


def test_r_drop_needs_dropout_and_no_sampling() -> None:
    assert make(training={"r_drop": 1.0}).training.r_drop == 1.0
    dry = {
        "embedding": {"dropout": 0.0},
        "encoder": {"dropout": 0.0},
        "decoder": {"dropout": 0.0, "output_dropout": 0.0},
    }
    assert problem(model=dry, training={"r_drop": 1.0}) == (
        "training.r_drop: needs dropout, so that two passes differ; set one in model, or 0 here"
    )
    for group, name in (
        *(("embedding", "word_dropout"), ("encoder", "recurrent_dropout")),
        *(("decoder", "output_dropout"), ("decoder", "recurrent_dropout")),
    ):
        make(model={**dry, group: {**dry[group], name: 0.1}}, training={"r_drop": 1.0})
    for group in ("encoder", "decoder"):
        for probability, differs in ((0.1, True), (0.0, False), (1.0, False)):
            cell = {"name": "zoneout_gru", "probability": probability}
            drawn = {**dry, group: {**dry[group], "cell": cell}}
            if differs:
                make(model=drawn, training={"r_drop": 1.0})
            else:
                assert "needs dropout" in problem(model=drawn, training={"r_drop": 1.0})
    between_layers = {"dropout": 0.1, "output_dropout": 0.0}
    assert problem(model={**dry, "decoder": between_layers}, training={"r_drop": 1.0})
    deep = {**between_layers, "num_layers": 2}
    make(model={**dry, "decoder": deep}, training={"r_drop": 1.0})
    for alignment in ("hard", "gumbel"):
        for model in ({}, dry):
            drawn = {**model, "attention": {"alignment": alignment}}
            assert problem(model=drawn, training={"r_drop": 1.0}) == (
                f"training.r_drop: is not supported with {alignment!r}, as each pass samples other "
                "positions; use softmax, for example"
            )
    assert problem(training={"r_drop": 1.0, "scheduled_sampling": {}}) == (
        "training.scheduled_sampling: cannot be combined with r_drop, whose two passes need "
        "the same input; set it to null, or r_drop to 0"
    )


def test_losses_with_their_own_key_are_refused_in_the_list() -> None:
    assert problem(training={"losses": ["r_drop"]}) == (
        "training.losses.0: 'r_drop' has a key of its own; set training.r_drop"
    )
    assert problem(training={"losses": [{"name": "entropy", "weigth": 1}]}) == (
        "training.losses.0.weigth: unknown option 'weigth' of loss term 'entropy' (did you mean "
        "'weight'?); allowed: weight"
    )


def test_losses_are_dumped_only_if_there_are_any() -> None:
    assert "losses" not in make().model_dump(mode="json")["training"]
    config = make(training={"losses": [{"name": "entropy", "weight": "0.5"}]})
    dumped = config.model_dump(mode="json")["training"]
    assert dumped["losses"] == [{"name": "entropy", "weight": 0.5}]
    assert list(dumped)[list(dumped).index("reinforce") + 1] == "losses"
    assert make(training=dumped) == config


def test_reinforce_needs_a_sampling_alignment() -> None:
    options = {"reinforce": {"weight": 2.0}}
    make(model={"attention": {"alignment": "hard"}}, training=options)
    for model in ({}, {"attention": None}, {"attention": {"alignment": "gumbel"}}):
        assert problem(model=model, training=options) == (
            "training.reinforce: is only supported with model.attention.alignment: hard"
        )


@pytest.mark.parametrize("corpus", ["valid", "test"])
def test_only_training_is_guided(corpus: str) -> None:
    data = {"train": FILES, "valid": FILES} | {corpus: FILES | {"alignments": "links"}}
    assert problem(data=data) == (
        f"data.{corpus}.alignments: are only used in training; compare with `nmt align --gold`"
    )


def test_residual_connections_need_two_layers() -> None:
    for side in ("encoder", "decoder"):
        message = problem(model={side: {"residual": True}})
        assert message.startswith(f"model.{side}.residual: needs several layers; set num_layers")
        make(model={side: {"residual": True, "num_layers": 2}})


@pytest.mark.parametrize("tie", ["target", "all"])
def test_a_tied_projection_needs_decoder_vectors_of_the_size_of_word_vectors(tie: str) -> None:
    embedding = {"size": 6, "tie": tie}
    assert problem(model={"embedding": embedding, "decoder": {"output_size": 7}}) == (
        "model.decoder.output_size: must be the embedding size 6 with a tied projection; "
        "set embedding.tie to none or embeddings, or leave it out"
    )
    assert (
        make(model={"embedding": embedding, "decoder": {"output_size": 6}}).model.output_size == 6
    )


@pytest.mark.parametrize("tie", ["none", "embeddings"])
def test_decoder_vectors_may_have_any_size_with_a_projection_of_its_own(tie: str) -> None:
    untied = {"embedding": {"size": 6, "tie": tie}}
    assert make(model=untied).model.output_size == 6
    assert make(model=untied | {"decoder": {"output_size": 7}}).model.output_size == 7


GRIDS = {"grids": "a.npz", "target": "a.txt"}


def grid_config(encoder: Any = None, **groups: Any) -> dict[str, Any]:
    encoder = {"name": "grid", "channels": 3} if encoder is None else encoder
    data = {"train": GRIDS, "valid": GRIDS, "test": GRIDS}
    given = {"data": data, "model": {"encoder": encoder}, "tokenizer": {"shared": False}}
    return given | groups


def test_an_encoder_is_chosen_by_its_name() -> None:
    default = make().model.encoder
    assert default.model_dump() == {
        "name": "recurrent",
        "cell": {"name": "gru", "fused": True},
        "hidden_size": 256,
        "num_layers": 1,
        "bidirectional": True,
        "dropout": 0.2,
        "recurrent_dropout": 0.0,
        "residual": False,
    }
    assert make(model={"encoder": "recurrent"}).model.encoder == default
    small = make(model={"encoder": {"hidden_size": 8}}).model.encoder
    assert small.options == {**default.options, "hidden_size": 8}
    assert make(model={"encoder": small}).model.encoder == small
    config = make(**grid_config())
    sizes = {"channels": 3, "hidden_size": 256, "max_rows": 16, "max_columns": 16}
    assert config.model.encoder == PlugIn(name="grid", **sizes, dropout=0.2)
    assert config.reads_grids
    assert not make().reads_grids
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_options_of_an_encoder_are_dumped_in_one_order() -> None:
    given = {"num_layers": 2, "cell": {"name": "lstm"}, "name": "recurrent"}
    dumped = make(model={"encoder": given}).model.encoder.model_dump()
    assert list(dumped) == list(make().model.encoder.model_dump())


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("conv", "model.encoder: unknown encoder 'conv'; allowed: recurrent, grid"),
        ({"name": "gird"}, "model.encoder: unknown encoder 'gird' (did you mean 'grid'?)"),
        ("grid", "model.encoder.channels: is missing"),
        ({"name": "grid", "channels": 0}, "model.encoder.channels: must be at least 1, not 0"),
        ({"name": "grid", "channels": 1, "cell": "gru"}, "model.encoder.cell: unknown option"),
        ({"channels": 1}, "model.encoder.channels: unknown option 'channels'"),
        (3, "model.encoder: must be a mapping"),
        (None, "model.encoder: must be a mapping"),
        ({"cell": "grus"}, "model.encoder.cell: unknown cell 'grus'"),
        ({"cell": {"fusd": 1}}, "model.encoder.cell.fusd: unknown option 'fusd' of cell 'gru'"),
        (
            {"residual": True},
            "model.encoder.residual: needs several layers; set num_layers to 2 or more",
        ),
    ],
)
def test_invalid_encoders_are_refused(encoder: Any, message: str) -> None:
    assert problem(model={"encoder": encoder}).startswith(message)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            {"data": {"train": [GRIDS, FILES], "valid": GRIDS}},
            "data.train.1: must be grids for model.encoder 'grid'",
        ),
        (
            {"data": {"train": GRIDS, "valid": FILES}},
            "data.valid: must be grids for model.encoder 'grid'",
        ),
        ({"model": {}}, "data.train: must be text, not grids for model.encoder 'recurrent'"),
        (
            {"decoding": {"shortlist": {}}},
            "decoding.shortlist: is not supported for grids; leave it out",
        ),
        ({"tokenizer": {}}, "tokenizer.shared: is not supported for grids; set it to false"),
        (
            {"tokenizer": {"shared": False, "source_path": "a"}},
            "tokenizer.source_path: is not supported for grids; leave it out",
        ),
        (
            {"data": {"train": GRIDS, "valid": GRIDS, "filters": {"deduplicate": True}}},
            "data.filters.deduplicate: is not supported for grids; set it to false",
        ),
        (
            {"data": {"train": GRIDS | {"alignments": "a"}, "valid": GRIDS}},
            "data.train.alignments: are not supported for grids; leave them out",
        ),
    ],
)
def test_options_that_grids_do_not_support(groups: dict[str, Any], message: str) -> None:
    assert problem(**grid_config(**groups)).startswith(message)


def test_beam_holds_all_candidates() -> None:
    assert problem(decoding={"n_best": 9}) == (
        "decoding.n_best: must be at most beam_size (5), not 9"
    )
    assert problem(decoding={"mbr": "chrf", "mbr_candidates": 9}) == (
        "decoding.mbr: needs mbr_candidates (9) translations, but a beam finds at most beam_size "
        "(5); set search to sampling, or one of these numbers to the other"
    )
    assert problem(decoding={"mbr": "bleu", "mbr_candidates": 4, "n_best": 5}) == (
        "decoding.n_best: must be at most mbr_candidates (4), not 5"
    )
    greedy = {"search": "greedy", "beam_size": 32, "mbr": "chrf"}
    assert problem(decoding=greedy) == (
        "decoding.mbr: needs several translations, and greedy search finds one; set search "
        "to sampling, beam or diverse_beam"
    )
    make(decoding={"search": "sampling", "mbr": "chrf", "n_best": 9})
    make(decoding={"search": "sampling", "n_best": 99})


def test_a_coverage_penalty_needs_an_attention() -> None:
    assert problem(model={"attention": None}, decoding={"coverage_penalty": "gnmt"}) == (
        "decoding.coverage_penalty: needs attention, but model.attention is null; leave one of "
        "them out"
    )


def test_units_of_alignments_are_for_alignments() -> None:
    corpus = {"source": "x", "target": "y", "alignment_units": "auto"}
    assert problem(data={"train": corpus, "valid": {"tsv": "z"}}) == (
        "data.train.0.alignment_units: is only supported with alignments; set them too, or "
        "leave it out"
    )


def test_a_dictionary_is_for_unknown_words() -> None:
    assert problem(decoding={"dictionary": "words.tsv"}) == (
        "decoding.dictionary: needs replace_unknown: true; set that too"
    )
    assert problem(model={"attention": None}, decoding={"replace_unknown": True}) == (
        "decoding.replace_unknown: needs attention, but model.attention is null; leave one of "
        "them out"
    )
