"""Finds phrases in what is written letter by letter."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nmt.core.byte_spelling import BLANK, IN_WORD, JOIN, Spelling

_BLANK = bytes([BLANK])


@dataclass(frozen=True)
class _Written:
    """All that matters of a text that has no phrase in it.

    Attributes:
        begun: what it ends with, from the edge of a word, that phrases begin with, or are.
        in_word: whether it ends with a letter, a mark or a digit.
        takes_blank: whether a blank that follows is seen.
        is_excused: whether the phrases that it ends with may stand there.
    """

    begun: frozenset[bytes] = frozenset()
    in_word: bool = False
    takes_blank: bool = False
    is_excused: bool = False


_PLAIN = [_Written(frozenset(), *flags) for flags in product((False, True), repeat=2)]


@dataclass(frozen=True)
class PhraseAutomaton:
    """Reads spellings number by number, and finds phrases (Aho & Corasick 1975).

    State 0 is that in which nothing is written.

    Attributes:
        letters: `[numbers]`, which letter each number of a spelling is.
        after: `[S L]`, the state after each letter; plus S where that completes a phrase.
        plain: `[S]`, the state that is the same but for the phrases that have begun.
        is_open: `[S]`, whether a phrase is at the end, which stands there if its word is over.
        excused: `[S]`, the state that is the same, but that the phrases at its end may stand there.
    """

    letters: NDArray[np.int64]
    after: NDArray[np.int32]
    plain: NDArray[np.int64]
    is_open: NDArray[np.bool_]
    excused: NDArray[np.int64]

    @classmethod
    def of(cls, phrases: Iterable[bytes], vocabulary: Iterable[Spelling]) -> "PhraseAutomaton":
        """The one that finds these in what is made of a vocabulary."""
        search = _Phrases(frozenset(phrases))
        numbers = {number for spelling in vocabulary for number in spelling}
        letters, known = search.letters(numbers - {JOIN})
        reached = list(_PLAIN)
        states = {state: place for place, state in enumerate(reached)}
        rows = []
        for state in reached:  # which grows
            following = [search.follow(state, *letter) for letter in known]
            if JOIN in numbers:
                following.append((replace(state, takes_blank=False), False))
            for then in (search.excuse(state), *(then for then, _ in following)):
                if then not in states:
                    states[then] = len(states)
                    reached.append(then)
            rows.append([(states[then], completes) for then, completes in following])
        after = [[then + completes * len(states) for then, completes in row] for row in rows]
        plain = [states[_Written(frozenset(), s.in_word, s.takes_blank)] for s in reached]
        return cls(
            letters,
            np.array(after, np.int32),
            np.array(plain),
            np.array([search.is_open(state) for state in reached]),
            np.array([states[search.excuse(state)] for state in reached]),
        )

    def read(self, vocabulary: Sequence[Spelling]) -> NDArray[np.signedinteger]:
        """`[S V]`: the state after each token; plus S where that completes a phrase.

        Of 16 bits where these suffice, as this is what is large.
        """
        lengths = np.array([len(spelling) for spelling in vocabulary])
        letters = np.zeros((len(vocabulary), lengths.max()), dtype=np.int64)
        for token, spelling in enumerate(vocabulary):
            letters[token, : len(spelling)] = self.letters[list(spelling)]
        suffices = 2 * len(self.after) <= np.iinfo(np.int16).max
        dtype = np.int16 if suffices else np.int32
        after: NDArray[np.signedinteger] = np.empty((len(self.after), len(vocabulary)), dtype)
        for state, plain in enumerate(self.plain):
            # Few tokens go on with what has begun; where none does the state makes no difference.
            tokens: NDArray[np.intp] = np.arange(len(vocabulary))
            if state != plain:
                after[state] = after[plain]
                differs = (self.after[state] != self.after[plain])[letters[:, 0]]
                tokens = (differs | (lengths == 0)).nonzero()[0]
            after[state, tokens] = self._read(state, letters[tokens], lengths[tokens])
        return after

    def _read(
        self, state: int, letters: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """`[N]`: the same after one state, of some tokens `[N letters]`."""
        num_states = len(self.after)
        after = np.full(len(letters), state, dtype=np.int32)
        for place in range(int(lengths.max(initial=0))):
            tokens = (lengths > place).nonzero()[0]
            before = after[tokens]
            then = self.after[before % num_states, letters[tokens, place]]
            completes = (before >= num_states) & (then < num_states)
            after[tokens] = then + num_states * completes
        return after


@dataclass(frozen=True)
class _Phrases:
    """What is looked for.

    Attributes:
        phrases: in UTF-8.
    """

    phrases: frozenset[bytes]

    @cached_property
    def beginnings(self) -> frozenset[bytes]:
        """Of all phrases, and these themselves."""
        return frozenset(phrase[: i + 1] for phrase in self.phrases for i in range(len(phrase)))

    def letters(self, numbers: set[int]) -> tuple[NDArray[np.int64], list[tuple[bytes, bool]]]:
        """The letter of each number of a spelling, and what the letters are, but for `JOIN`.

        Args:
            numbers: that there are. Bytes that no phrase has make two letters: in words, and not.
        """
        alphabet = {*b"".join(self.phrases), BLANK}
        known = sorted(number for number in numbers if number % IN_WORD in alphabet)
        letters = np.zeros(JOIN + 1, dtype=np.int64)
        letters[IN_WORD:] = 1
        letters[known] = range(2, 2 + len(known))
        letters[JOIN] = 2 + len(known)
        told = [(bytes([number % IN_WORD]), number >= IN_WORD) for number in known]
        return letters, [(b"", False), (b"", True), *told]

    def is_open(self, state: _Written) -> bool:
        """Whether a phrase is at the end that must not stand there."""
        return not (state.is_excused or state.begun.isdisjoint(self.phrases))

    def excuse(self, state: _Written) -> _Written:
        """The same, but that what is at its end may stand there."""
        return replace(state, is_excused=True) if self.is_open(state) else state

    def follow(self, state: _Written, byte: bytes, in_word: bool) -> tuple[_Written, bool]:
        """What is there with a letter more, and whether that completes a phrase.

        Args:
            state: what was there.
            byte: the letter; empty: one that no phrase has.
            in_word: whether it is a letter, a mark or a digit.
        """
        if byte == _BLANK and not state.takes_blank:
            return state, False
        is_edge = not (state.in_word and in_word)
        completes = is_edge and self.is_open(state)
        before = state.begun | {b""} if is_edge else state.begun
        now = frozenset(text + byte for text in before) & self.beginnings if byte else frozenset()
        if not in_word:  # what ends here can no longer become a part of a longer word
            completes = completes or not now.isdisjoint(self.phrases)
            now -= self.phrases
        return _Written(now, in_word, takes_blank=byte != _BLANK), completes
