"""Root of the option tree: everything a YAML file may set, with types, defaults and help.

The models are frozen and refuse unknown keys. The options of a plug-in are not listed here: they
are the keyword-only arguments of its constructor (see `nmt.config.registry`).
"""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from nmt.config.data import DataConfig
from nmt.config.decoding import DecodingConfig
from nmt.config.losses import ReinforceConfig
from nmt.config.messages import refuse
from nmt.config.model import ModelConfig
from nmt.config.registry import (
    ALIGNMENTS,
    CORPORA,
    ENCODERS,
    LOSSES,
    SCORES,
    TOKENIZERS,
    Options,
    PlugIn,
)
from nmt.config.training import TrainingConfig
from nmt.config.values import PathText

CONFIG_VERSION = 2
# Keys of every run's resolved configuration; few `config.yaml` of other tools have them all.
RUN_KEYS: Final = {"version", "run", "data", "tokenizer", "model", "training", "decoding"}


def _check_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", name):
        refuse("", f"unknown device {name!r}; allowed: auto, cpu, cuda, cuda:N")
    return name


class TokenizerConfig(PlugIn):
    """Tokenizer of the text; `name` picks it and the remaining keys are its options.

    Attributes:
        name: Name of the tokenizer.
        shared: Use one vocabulary for both languages (required by `model.embedding.tie: all` and
            `embeddings`).
        normalization: Unicode normalization before tokenization; nfkc also replaces … ½ ² and the
            like.
        lowercase: Lowercase all text before tokenization.
        source_path: Folder of a saved tokenizer for the source (for both sides, if shared), or a
            SentencePiece `.model` file (bpe or unigram). `normalization` and `lowercase` replace
            the normalization of the file, and its special symbols other than pad, unk, bos and eos
            are dropped. null: train one.
        target_path: Like `source_path`, for the target; only with shared: false.
    """

    name: str = "sentencepiece"
    shared: bool = True
    normalization: Literal["nfc", "nfkc", "none"] = "nfc"
    lowercase: bool = False
    source_path: PathText | None = None
    target_path: PathText | None = None

    def _check(self) -> None:
        if self.shared and self.target_path is not None:
            refuse("target_path", "needs separate tokenizers; set source_path, or shared: false")


class Config(Options):
    """One experiment.

    Attributes:
        version: Version of the configuration format.
        run: Folder of the run: checkpoints, tokenizers, logs.
        seed: Random seed.
        device: Device: auto, cpu, cuda or cuda:N.
        precision: Precision of the computation; weights are always saved in float32. int8 is only
            supported for translation.
        start_from: Run to fine-tune: training starts from its best weights and its tokenizers;
            null: from scratch.
        data: The corpora.
        tokenizer: Tokenizer of the text.
        model: The network.
        training: The training engine.
        decoding: Translation with the trained model.
    """

    version: Annotated[int, Field(ge=CONFIG_VERSION, le=CONFIG_VERSION)] = CONFIG_VERSION
    run: PathText = Field(examples=["runs/reference"])
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 1
    device: Annotated[str, AfterValidator(_check_device)] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    start_from: PathText | None = None
    data: DataConfig
    tokenizer: Annotated[TokenizerConfig, TOKENIZERS] = Field(default_factory=TokenizerConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    decoding: DecodingConfig = Field(default_factory=DecodingConfig)

    def _check(self) -> None:
        embedding = self.model.embedding
        if embedding.is_shared and not self.tokenizer.shared:
            others = "target" if embedding.ties_projection else "none"
            sentence = (
                f"{embedding.tie!r} needs a shared vocabulary; set tokenizer.shared: true, or "
                f"tie: {others}"
            )
            refuse("model.embedding.tie", sentence)
        measured = self.training.validation.metrics or self.training.early_stopping
        if self.data.valid is None and measured:
            sentence = (
                "is missing, but validation needs it; to train without it, set "
                "training.early_stopping=null training.validation.metrics=[] "
                "training.validation.best=loss"
            )
            refuse("data.valid", sentence)
        self._require_attention()
        self._check_links()
        self._check_alignment()
        if not self.model.has_dropout:
            sentence = "needs dropout, so that two passes differ; set one in model, or 0 here"
            self._refuse_losses("needs_two_passes", sentence)
        self._check_sources()
        if self.reads_grids:
            self._check_grids()
        if self.data.valid is None and self.training.checkpoints.average_last > 0:
            sentence = "needs data.valid to compare the average; set it to 0"
            refuse("training.checkpoints.average_last", sentence)

    def _losses_with(self, need: str) -> list[str]:
        """Return the keys of the loss terms whose class has a need, such as `needs_attention`."""
        terms = self.training.loss_terms().items()
        return [f"training.{key}" for key, term in terms if getattr(LOSSES.find(term.name), need)]

    def _refuse_losses(self, need: str, sentence: str) -> None:
        for path in self._losses_with(need):
            refuse(path, sentence)

    def _require_attention(self) -> None:
        """Refuse options that need attention, if the model has none or a constant score."""
        decoding, attention = self.decoding, self.model.attention
        losses = self._losses_with("needs_attention")
        needs_attention = {
            **dict.fromkeys(losses, True),
            "decoding.coverage_penalty": decoding.coverage_penalty.name != "none",
            "decoding.replace_unknown": decoding.replace_unknown,
        }
        for path in filter(needs_attention.get, needs_attention):
            if attention is None:
                refuse(path, "needs attention, but model.attention is null; leave one of them out")
            if path in losses and SCORES.find(attention.score.name).is_constant:
                sentence = (
                    f"cannot train the score {attention.score.name!r}, which is constant; use "
                    "general, for example"
                )
                refuse(path, sentence)

    def _check_links(self) -> None:
        """Refuse guided attention without alignments, and alignments that nothing reads."""
        guided = self._losses_with("needs_links")
        if guided and all(corpus.alignments is None for corpus in self.data.train):
            refuse("data.train[0].alignments", f"is missing, but {guided[0]} needs it; set it")
        for key, corpus in self.data.held_out():
            if corpus.alignments is not None:
                sentence = "are only used in training; compare with `nmt align --gold`"
                refuse(f"{key}.alignments", sentence)

    def _check_alignment(self) -> None:
        """Refuse losses that cannot train the alignment."""
        training, attention = self.training, self.model.attention
        name = "" if attention is None else attention.alignment.name
        alignment = ALIGNMENTS.find(name) if name else None
        if training.reinforce != ReinforceConfig() and not (alignment and alignment.uses_reinforce):
            refuse("training.reinforce", "is only supported with model.attention.alignment: hard")
        if alignment is None:
            return
        if alignment.samples:
            sentence = (
                f"is not supported with {name!r}, as each pass samples other positions; use "
                "softmax, for example"
            )
            self._refuse_losses("needs_two_passes", sentence)
        if not alignment.is_guidable:
            sentence = (
                f"cannot train the alignment {name!r}, whose other weights are always 0; use "
                "softmax, for example"
            )
            self._refuse_losses("needs_links", sentence)
        guided = training.guided_attention
        if guided is not None and guided.loss == "cross_entropy" and alignment.is_sparse:
            sentence = f"cannot train the weights of {name!r} that are exactly 0; use squared_error"
            refuse("training.guided_attention.loss", sentence)

    def _check_sources(self) -> None:
        """Refuse corpora of a kind that the encoder does not read."""
        for key, corpus in self.data.corpora():
            if (CORPORA.find(corpus.name).reads == "grids") != self.reads_grids:
                wanted = "grids" if self.reads_grids else "text, not grids"
                refuse(key, f"must be {wanted} for model.encoder {self.model.encoder.name!r}")

    def _check_grids(self) -> None:
        """Refuse options that need source words, which grids do not have."""
        if self.tokenizer.shared:
            refuse("tokenizer.shared", "is not supported for grids; set it to false")
        if self.tokenizer.source_path is not None:
            refuse("tokenizer.source_path", "is not supported for grids; leave it out")
        if self.decoding.shortlist is not None:
            refuse("decoding.shortlist", "is not supported for grids; leave it out")
        if self.data.filters.deduplicate:
            refuse("data.filters.deduplicate", "is not supported for grids; set it to false")
        for key, corpus in self.data.training_corpora():
            if corpus.alignments is not None:
                refuse(f"{key}.alignments", "are not supported for grids; leave them out")

    @property
    def reads_grids(self) -> bool:
        """Return whether the source is grids, not text."""
        return bool(ENCODERS.find(self.model.encoder.name).reads == "grids")

    @property
    def validation_decoding(self) -> DecodingConfig:
        """Return the decoding options of validation."""
        size = self.training.validation.beam_size
        return self.decoding if size is None else self.decoding.with_beam(size)

    def input_paths(self) -> dict[str, str]:
        """Return all input files and folders that the configuration names, by key."""
        paths = {
            f"{key}.{option}": name
            for key, corpus in self.data.corpora()
            for option, name in corpus.files().items()
        }
        others = {
            "start_from": self.start_from,
            "tokenizer.source_path": self.tokenizer.source_path,
            "tokenizer.target_path": self.tokenizer.target_path,
            "decoding.dictionary": self.decoding.dictionary,
        }
        return paths | {key: name for key, name in others.items() if name is not None}
