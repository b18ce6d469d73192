"""The four symbols that every vocabulary starts with; the whole package relies on their ids."""

from typing import Final

PAD: Final = 0
UNK: Final = 1
BOS: Final = 2
EOS: Final = 3
SPECIAL_SYMBOLS: Final = ("<pad>", "<unk>", "<s>", "</s>")
