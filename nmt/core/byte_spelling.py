"""What tokens write, as numbers: what two parts must agree on that look for words in it.

A spelling is the bytes of a text in UTF-8. Those of letters, marks and digits have `IN_WORD` added,
as words end where they do. Those that are a token each, a part of a character, have not: what they
become is not known yet, and where a word is taken to end beside them none is overlooked. A blank
is one with the blanks before it, and none at the beginning.
"""

from typing import Final

from nmt.core.scripts import JOINERS, is_letter

BLANK: Final = 0x20
IN_WORD: Final = 0x100
JOIN: Final = 0x200  # the blank is left out that follows

Spelling = tuple[int, ...]


def is_in_word(character: str) -> bool:
    """Return whether it is a letter, a mark, a digit or a joiner, or a byte of one."""
    return character == "\N{REPLACEMENT CHARACTER}" or (
        character != "" and (is_letter(character) or character in JOINERS)
    )


def spell(text: str) -> Spelling:
    """The spelling of a text."""
    return tuple(
        byte + (IN_WORD if is_in_word(character) else 0)
        for character in text
        for byte in character.encode()
    )
