"""Loading of models, search and reranker from trained runs and decoding options."""

import functools
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from nmt.build.model import load_model
from nmt.build.tokenizers import Tokenizers, load_tokenizers
from nmt.config.decoding import DecodingConfig
from nmt.config.registry import COVERAGE_PENALTIES, LENGTH_PENALTIES, SEARCHES
from nmt.core.errors import ConfigError
from nmt.core.special_tokens import BOS, EOS, SPECIAL_SYMBOLS, UNK
from nmt.core.writing_systems import is_word_character
from nmt.evaluation.minimum_bayes_risk import UTILITIES, MinimumBayesRisk
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.shortlist import Shortlist, load_lexicon
from nmt.inference.unknown_words import Dictionary, read_dictionary
from nmt.nn.ensemble import Ensemble, Space
from nmt.runs.run import Run, RunDirectory
from nmt.search.constraints import ForbiddenPhrases
from nmt.search.rules import (
    EOSThreshold,
    LengthLimits,
    NoRepeatedNgrams,
    RepetitionPenalty,
    Rule,
    Rules,
)
from nmt.search.search import Scoring, Search
from nmt.system.device import AUTO, resolve_device, resolve_precision
from nmt.text.tokenizer import Tokenizer


def load_runner(
    run: Run,
    tokenizers: Tokenizers,
    others: Sequence[str | Path],
    checkpoint: str,
    device: str | torch.device,
    precision: str | torch.dtype | None,
    space: Space,
    rules: Sequence[Rule],
) -> BatchRunner:
    """Load the models and build a runner with the decoding options of the run's configuration.

    Args:
        run: the first run.
        tokenizers: of this run.
        others: runs whose models are averaged with it.
        checkpoint: best, last or step-N, of each run.
        device: for the models.
        precision: of the computation; int8 quantises the models; None: the training precision if
            the device supports it.
        space: what is averaged (see `Ensemble`).
        rules: of the search, applied after those of the options.

    Raises:
        RunError: a folder is not a run, or is incomplete or corrupted; or the run's lexicon cannot
            be used.
        ConfigError: the machine does not support the device or the precision. Also if the tokens of
            another run differ from the first, or if an option needs attention and the model has
            none.
    """
    options = run.config.decoding
    device = resolve_device(device)
    dtype = _choose_precision(precision, run.config.precision, device)
    search = build_search(options, tokenizers.target, rules)
    runs = [run, *(_open_same(folder, run, tokenizers) for folder in others)]
    models = [load_model(each, checkpoint, device, tokenizers.sizes) for each in runs]
    model = Ensemble(models, space=space).eval() if others else models[0]
    if dtype == torch.int8:
        model.quantize()
    shortlist = load_shortlist(options, run.folder, tokenizers)
    batch_tokens = choose_batch_tokens(options, device)
    return BatchRunner(model, search, device, dtype, batch_tokens, shortlist=shortlist)


def choose_batch_tokens(options: DecodingConfig, device: torch.device) -> int:
    """Return the maximum number of tokens in a batch.

    On a CPU, larger batches are hardly faster, and there should be one for each thread.
    """
    if device.type != "cpu":
        return options.batch_tokens
    is_greedy = options.search.name == "greedy" or options.beam_size == 1
    return min(options.batch_tokens, 2_000 if is_greedy else 1_000)


def _choose_precision(
    given: str | torch.dtype | None, trained: str, device: torch.device
) -> torch.dtype:
    """Return the given precision, or by default the training precision if supported."""
    if given is not None:
        return resolve_precision(given, device)
    try:
        return resolve_precision(trained, device)
    except ConfigError:
        return resolve_precision(AUTO, device)


def _open_same(folder: str | Path, first: Run, ours: Tokenizers) -> Run:
    """Open a further run, which must have the same tokens as the first."""
    run = Run.open(folder, decoding=first.config.decoding)  # fails if its model does not allow it
    theirs = load_tokenizers(run)
    for side in ("source", "target"):
        if getattr(theirs, side).fingerprint() != getattr(ours, side).fingerprint():
            raise ConfigError(
                f"{run.folder.path}: its {side} vocabulary differs from {first.folder.path}; "
                "train the runs of an ensemble with the same tokenizer (tokenizer.source_path, or "
                "start_from)"
            )
    return run


def load_shortlist(
    config: DecodingConfig, run: RunDirectory, tokenizers: Tokenizers
) -> Shortlist | None:
    """Load the shortlist; None: translations may use the whole vocabulary.

    Raises:
        RunError: the run has no lexicon, or it cannot be used.
    """
    if config.shortlist is None:
        return None
    lexicon = load_lexicon(run, tokenizers)
    copies = tokenizers.source.fingerprint() == tokenizers.target.fingerprint()
    return Shortlist(lexicon, config.shortlist.candidates, config.shortlist.frequent, copies)


def load_dictionary(config: DecodingConfig) -> Dictionary | None:
    """Read the dictionary that replaces unknown words; None: unknown words are not generated.

    Raises:
        DataError: the file is missing or malformed.
    """
    if not config.replace_unknown:
        return None
    return {} if config.dictionary is None else read_dictionary(Path(config.dictionary))


def build_search(
    config: DecodingConfig, tokenizer: Tokenizer, further_rules: Sequence[Rule] = ()
) -> Search:
    """Return the search for translations.

    Args:
        config: the options.
        tokenizer: of the target.
        further_rules: applied after those of the options.

    Raises:
        ConfigError: the options contradict each other.
    """
    scoring = Scoring(
        LENGTH_PENALTIES.create(config.length_penalty),
        COVERAGE_PENALTIES.create(config.coverage_penalty),
    )
    lengths = config.min_length, config.max_length
    limits = LengthLimits(*lengths, config.min_length_ratio, config.max_length_ratio)
    rules = Rules(
        limits,
        [*_rules(config, tokenizer), *further_rules],
        allow_unknown=config.replace_unknown,
        word_edges=partial(word_edges, tokenizer),
    )
    search: Search = SEARCHES.create(
        config.search, config.beam_size, config.num_candidates, scoring, rules
    )
    return search


@functools.lru_cache(maxsize=4)
def word_edges(tokenizer: Tokenizer) -> Bool[Tensor, "2 V"]:
    """Return tokens before which a word has ended, and tokens after which a word may begin.

    Punctuation is not part of a word: "hat" is a word of "hat," and "hat's", but not of "hats". If
    tokens can be joined from both sides, the other token is assumed not to join.
    """
    edges = [[True] * len(tokenizer) for _ in range(2)]
    for token in range(len(SPECIAL_SYMBOLS), len(tokenizer)):
        if text := tokenizer.join([token]):
            edges[0][token] = tokenizer.starts_word(EOS, token) or not is_word_character(text[0])
            edges[1][token] = not is_word_character(text[-1])
    return torch.tensor(edges)


def build_reranker(config: DecodingConfig, bleu_tokenizer: str = "auto") -> MinimumBayesRisk | None:
    """Return the reranker of the candidates of a search; None: no reranking.

    Args:
        config: the options.
        bleu_tokenizer: tokenizer of BLEU; auto: chosen by the script of the candidates.

    Raises:
        ConfigError: the tokenizer needs an extra that is not installed.
    """
    if config.mbr == "none":
        return None
    utility = UTILITIES[config.mbr](bleu_tokenizer)
    return MinimumBayesRisk(utility, config.n_best, are_samples=config.draws_samples)


def _rules(config: DecodingConfig, tokenizer: Tokenizer) -> Iterator[Rule]:
    if config.repetition_penalty > 1.0:
        yield RepetitionPenalty(config.repetition_penalty)
    if config.no_repeat_ngram_size > 0:
        yield NoRepeatedNgrams(config.no_repeat_ngram_size)
    forbidden = [ids for phrase in config.forbidden for ids in _token_sequences(phrase, tokenizer)]
    if forbidden:
        yield ForbiddenPhrases(forbidden)
    if config.eos_threshold is not None:
        yield EOSThreshold(config.eos_threshold)


def _token_sequences(phrase: str, tokenizer: Tokenizer) -> list[list[int]]:
    """Return the tokens of a phrase at the start of a text and, if different, inside a text.

    The result is empty if a word is unknown, because the model cannot generate it.
    """
    first = tokenizer.encode(phrase)
    if not first or UNK in first:
        return []
    later = tokenizer.encode(f"{phrase} {phrase}")[len(first) :]
    return [first] if later == first else [[BOS, *first], later]
