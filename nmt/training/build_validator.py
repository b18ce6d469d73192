"""From the options to what validates: the same translator as `nmt translate` uses."""

from typing import Final

from nmt.build.data import build_corpus
from nmt.build.metrics import build_metrics
from nmt.build.search import build_reranker, build_search
from nmt.config.experiment import Config
from nmt.config.tree import diff
from nmt.data.formats.corpus import read_pairs
from nmt.distributed.process_group import ProcessGroup
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import load_dictionary, load_shortlist
from nmt.inference.translator import Translator
from nmt.nn.model import Model
from nmt.runs.run import RunDirectory
from nmt.training.prepare_data import PreparedData
from nmt.training.validation import Validator

_OPTION: Final = "training.validation.beam_size"
_SEARCH: Final = {"search", "beam_size", "n_best", "mbr"}
"""What that option replaces, and what can make a difference then."""


def build_validator(
    config: Config, run: RunDirectory, model: Model, data: PreparedData, group: ProcessGroup
) -> Validator | None:
    """Return what measures the model on the validation set; None where there is none.

    Args:
        config: the experiment.
        run: its folder, with the lexicon where `decoding.shortlist` is set.
        model: that is trained.
        data: tokenizers, device and precision.
        group: the processes that train together.

    Raises:
        UserError: the validation set, the dictionary or the lexicon cannot be used.
    """
    if config.data.valid is None:
        return None
    options, decoding = config.training.validation, config.validation_decoding
    tokenizers = data.tokenizers
    runner = BatchRunner(
        model,
        build_search(decoding, tokenizers.target),
        data.device,
        data.precision,
        decoding.batch_tokens,
        shortlist=load_shortlist(decoding, run, tokenizers),
    )
    translator = Translator(
        runner,
        source_reader=tokenizers.source,
        target_tokenizer=tokenizers.target,
        max_source_length=decoding.max_source_length,
        reranker=build_reranker(decoding, options.bleu_tokenizer),
        dictionary=load_dictionary(decoding),
    )
    pairs = list(read_pairs(build_corpus(config.data.valid)))
    metrics = build_metrics(options.metrics)
    return Validator(translator, pairs, metrics, options.num_samples, group)


def describe_validation(config: Config) -> str | None:
    """Say how the search of validation differs from that of `nmt translate`; None: not at all."""
    if config.data.valid is None or not config.training.validation.metrics:
        return None
    both = (config.decoding, config.validation_decoding)
    theirs, ours = (it.model_dump(mode="json", include=_SEARCH) for it in both)
    found = diff(theirs, ours)
    if not found:
        return None
    listed = ", ".join(f"decoding.{key}: {change}" for key, change in found.items())
    return f"validation uses a quicker search than `nmt translate` ({_OPTION}): {listed}"
