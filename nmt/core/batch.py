"""Batches, which data makes and the model and the loss read, and the batches of an update."""

from dataclasses import dataclass

from torch import Tensor

from nmt.core.special_tokens import PAD


@dataclass(frozen=True)
class Batch:
    """Sentence pairs, padded with ``PAD`` on the right; integer tensors of dtype int64.

    Attributes:
        source: `[B S]`, the source tokens, each sentence ended by EOS; or `[B S D]`, float32, the
            cells of grids (channels, row, column), with no EOS.
        source_lengths: `[B]`, tokens of each source sentence, EOS included.
        target: `[B T+1]`, BOS, the target tokens, EOS.
        num_target_tokens: labels in the batch that are not padding (EOS counted).
        alignment: `[B T S]`, float32, where the attention is to look for each label: rows sum to
            one, or are zero where nothing is known; None: nothing is known of any.
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor
    num_target_tokens: int
    alignment: Tensor | None = None

    @property
    def decoder_input(self) -> Tensor:
        """`[B T]`: the decoder's input under teacher forcing: BOS and all but the last token."""
        return self.target[:, :-1]

    @property
    def labels(self) -> Tensor:
        """`[B T]`: the tokens that the decoder is to predict, and EOS."""
        return self.target[:, 1:]

    @property
    def label_mask(self) -> Tensor:
        """`[B T]`: True where a label is a real token."""
        return self.labels != PAD

    @property
    def num_sentences(self) -> int:
        """B."""
        return self.source.shape[0]

    def halves(self) -> tuple["Batch", "Batch"]:
        """Split the batch into two, each padded only to its own longest sentence."""
        middle = self.num_sentences // 2
        assert middle > 0
        return self._part(slice(None, middle)), self._part(slice(middle, None))

    def _part(self, rows: slice) -> "Batch":
        lengths, real = self.source_lengths[rows], self.label_mask[rows]
        num_sources, num_labels = int(lengths.max()), int(real.sum(dim=1).max())
        links = self.alignment
        return Batch(
            source=self.source[rows, :num_sources],
            source_lengths=lengths,
            target=self.target[rows, : num_labels + 1],
            num_target_tokens=int(real.sum()),
            alignment=None if links is None else links[rows, :num_labels, :num_sources],
        )


@dataclass(frozen=True)
class LocalUpdate:
    """The part of an update that one process computes; with one process, all of it.

    Attributes:
        batches: with the sentences of this process; empty where other processes have them all.
        num_batches: of the whole update, before it was distributed.
        num_target_tokens: of the whole update, by which its gradient is divided.
        is_last: whether the update is the last of an epoch.
    """

    batches: list[Batch]
    num_batches: int
    num_target_tokens: int
    is_last: bool
