"""The whole tree of options: what a YAML file may say, with types, defaults and help.

The models are frozen and refuse unknown keys. Nothing here imports torch, so that a bad
configuration is refused at once. A plug-in's own options are not listed here: they are the
keyword-only arguments of its constructor (see `nmt.config.registry`).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from nmt.config.base import ALIGNMENTS, SCORES, TOKENIZERS, Device, Options, PathText
from nmt.config.data import CorpusConfig, DataConfig
from nmt.config.decoding import DecodingConfig
from nmt.config.messages import refuse
from nmt.config.model import ModelConfig
from nmt.config.training import ReinforceConfig, TrainingConfig

CONFIG_VERSION = 2


def _check_seed(seed: int) -> int:
    if seed >= 2**64:
        refuse(((), f"must be less than 2 to the power of 64 ({2**64}), not {seed}"))
    return seed


class TokenizerConfig(Options):
    """How text becomes tokens; `name` picks the tokenizer and the other keys are its options."""

    model_config = ConfigDict(extra="allow")

    name: str = "sentencepiece"
    """Which tokenizer."""
    shared: bool = True
    """One vocabulary for both languages (needed to tie all embeddings)."""
    normalization: Literal["nfc", "nfkc", "none"] = "nfc"
    """Unicode normal form of all text before it is split; nfkc also replaces … ½ ² and the like."""
    lowercase: bool = False
    """Lowercase all text first."""
    source_path: PathText | None = None
    """Folder of a saved tokenizer for the source (for both, if shared), or a `.model` file of
    SentencePiece (bpe or unigram; `normalization` and `lowercase` take the place of its own
    normalisation, and special symbols besides pad, unk, bos and eos are left out); null: train
    one."""
    target_path: PathText | None = None
    """The same for the target, where the vocabulary is not shared."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.shared and self.target_path is not None:
            refuse(
                (
                    ("target_path",),
                    "is not for a shared tokenizer; set source_path, or shared: false",
                )
            )
        return self


class Config(Options):
    """One experiment."""

    version: int = CONFIG_VERSION
    """Version of the format of this file."""
    run: PathText = Field(examples=["runs/reference"])
    """Folder for everything of the run."""
    seed: Annotated[int, Field(ge=0), AfterValidator(_check_seed)] = 1
    """Seed of everything random."""
    device: Device = "auto"
    """auto, cpu, cuda, or cuda:N."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """Of the computation; weights are saved in float32 always. int8 is for translating alone."""
    start_from: PathText | None = None
    """A run whose best weights, and tokenizers, training starts with; null: new ones."""
    data: DataConfig
    """The corpora."""
    tokenizer: Annotated[TokenizerConfig, TOKENIZERS] = Field(default_factory=TokenizerConfig)
    """How text becomes tokens."""
    model: ModelConfig = Field(default_factory=ModelConfig)
    """The network."""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """The training engine."""
    decoding: DecodingConfig = Field(default_factory=DecodingConfig)
    """How the trained model translates."""

    @model_validator(mode="before")
    @classmethod
    def _check_version(cls, given: Any) -> Any:
        """Before all else: what is wrong in a config of another version is that it is one."""
        version = (
            given.get("version", CONFIG_VERSION) if isinstance(given, dict) else CONFIG_VERSION
        )
        if str(version) != str(CONFIG_VERSION):
            sentence = (
                f"this is version {version}; this nmt reads up to {CONFIG_VERSION}: use the nmt "
                "that it was written for, or adapt it to configs/reference.yaml"
            )
            refuse((("version",), sentence))
        return given

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.model.embedding.tie == "all" and not self.tokenizer.shared:
            place = ("model", "embedding", "tie")
            refuse(
                (place, "'all' needs one vocabulary; set tokenizer.shared: true, or tie: target")
            )
        measured = self.training.validation.metrics or self.training.early_stopping
        if self.data.valid is None and measured:
            sentence = (
                "is missing, and validation needs it; to train without: "
                "training.early_stopping=null training.validation.metrics=[] "
                "training.validation.best=loss"
            )
            refuse((("data", "valid"), sentence))
        self._check_r_drop()
        self._check_attention()
        self._check_grids()
        if self.data.valid is None and self.training.checkpoints.average_last > 0:
            place = ("training", "checkpoints", "average_last")
            refuse((place, "needs data.valid, to tell whether the average is better; set it to 0"))
        return self

    def _check_r_drop(self) -> None:
        """Two passes must be such as should agree, and differ by dropout."""
        if self.training.r_drop == 0.0:
            return
        place, attention = ("training", "r_drop"), self.model.attention
        if attention is not None and ALIGNMENTS.fact(attention.alignment.name, "samples"):
            sentence = (
                f"two passes over {attention.alignment.name!r} look at other positions, and should "
                "not agree; the nearest alignment that works is softmax"
            )
            refuse((place, sentence))
        if not self.model.has_dropout:
            sentence = "needs dropout in model, for two passes to differ by; set one, or this to 0"
            refuse((place, sentence))

    def _check_attention(self) -> None:
        """What training asks of the attention must be there to be asked."""
        training, attention = self.training, self.model.attention
        guided = training.guided_attention is not None
        for key, asked in (("guided_attention", guided), ("coverage_loss", training.coverage_loss)):
            if asked and attention is None:
                sentence = "needs an attention, and model.attention is null; leave one of them out"
                refuse((("training", key), sentence))
            if asked and attention and SCORES.fact(attention.score.name, "is_constant"):
                sentence = (
                    f"has nothing to teach the score {attention.score.name!r}; the nearest that "
                    "works is general"
                )
                refuse((("training", key), sentence))
        if guided and all(corpus.alignments is None for corpus in self.data.train):
            sentence = "is missing, and training.guided_attention needs it"
            refuse((("data", "train", "0", "alignments"), sentence))
        decoding = self.decoding
        penalized = decoding.coverage_penalty.name != "none"
        replaced = decoding.replace_unknown
        for key, asked in (("coverage_penalty", penalized), ("replace_unknown", replaced)):
            if asked and attention is None:
                sentence = "needs an attention, and model.attention is null; leave one of them out"
                refuse((("decoding", key), sentence))
        for key in ("valid", "test"):
            corpus: CorpusConfig | None = getattr(self.data, key)
            if corpus is not None and corpus.alignments is not None:
                sentence = "are read in training alone; `nmt align --gold` compares with them"
                refuse((("data", key, "alignments"), sentence))
        self._check_alignment()

    def _check_alignment(self) -> None:
        """What is asked of weights must be what the alignment can learn from."""
        attention, guided = self.model.attention, self.training.guided_attention
        reinforced = self.training.reinforce != ReinforceConfig()
        if attention is None:
            if reinforced:
                refuse((("training", "reinforce"), "is for model.attention.alignment: hard alone"))
            return
        name = attention.alignment.name
        place = ("training", "guided_attention")
        if guided is not None and not ALIGNMENTS.fact(name, "is_guidable"):
            sentence = (
                f"the alignment {name!r} learns nothing from links: elsewhere than it looked its "
                "weights are 0 whatever the scores; the nearest that works is softmax"
            )
            refuse((place, sentence))
        is_sparse = ALIGNMENTS.fact(name, "is_sparse")
        if guided is not None and guided.loss == "cross_entropy" and is_sparse:
            sentence = (
                f"learns nothing from the weights of {name!r} that are exactly 0; the nearest that "
                "works is squared_error"
            )
            refuse(((*place, "loss"), sentence))
        if reinforced and not ALIGNMENTS.fact(name, "uses_reinforce"):
            refuse((("training", "reinforce"), "is for model.attention.alignment: hard alone"))

    @property
    def reads_grids(self) -> bool:
        """Whether the source is grids, not text."""
        return self.model.encoder.name == "grid"

    @property
    def validation_decoding(self) -> DecodingConfig:
        """The options that validation translates with."""
        size = self.training.validation.beam_size
        return self.decoding if size is None else self.decoding.with_beam(size)

    def input_paths(self) -> dict[str, str]:
        """Return every file or folder that the configuration names as an input, by its key."""
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

    def _check_grids(self) -> None:
        """Grids need the encoder that reads them, and have no words of their own."""
        named: list[tuple[tuple[str, ...], CorpusConfig | None]]
        named = [(("train", str(i)), corpus) for i, corpus in enumerate(self.data.train)]
        named += [((key,), getattr(self.data, key)) for key in ("valid", "test")]
        for place, corpus in named:
            if corpus is None or (corpus.grids is not None) == self.reads_grids:
                continue
            wanted = "grids" if self.reads_grids else "text, not grids"
            sentence = f"model.encoder is {self.model.encoder.name!r}, which reads {wanted}"
            refuse((("data", *place), sentence))
        if not self.reads_grids:
            return
        if self.tokenizer.shared:
            sentence = "grids have no vocabulary to share; set it to false"
            refuse((("tokenizer", "shared"), sentence))
        if self.tokenizer.source_path is not None:
            refuse((("tokenizer", "source_path"), "grids need no tokenizer; leave it out"))
        if self.decoding.shortlist is not None:
            refuse(
                (("decoding", "shortlist"), "needs source words, and grids have none; leave it out")
            )
        if self.data.filters.deduplicate:
            refuse(
                (("data", "filters", "deduplicate"), "compares text, not grids; set it to false")
            )
        for index, corpus in enumerate(self.data.train):
            if corpus.alignments is not None:
                place = ("data", "train", str(index), "alignments")
                refuse((place, "are of words, and grids have none"))
