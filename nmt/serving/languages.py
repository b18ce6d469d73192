"""Languages of requests: of a text, of a tag, and of an option, among those that are served."""

from collections.abc import Sequence
from typing import Any, Final

from nmt.core.errors import ConfigError
from nmt.core.languages import base_of, normalize_tag

_MOST_READ: Final = 2_000  # characters; more say no more about the language


class Detector:
    """Detector of the source languages of the models; with one language, nothing is loaded.

    Args:
        tags: the languages, at least one.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self._tags = tags
        self._identifier: Any = None
        if len(tags) > 1:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier

            self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            known = set(self._identifier.labels)
            self._identifier.set_languages(sorted({base_of(tag) for tag in tags} & known) or None)

    def detect(self, text: str) -> list[tuple[str, float]]:
        """Return the languages with their probabilities, best first.

        A language that the library does not know has probability 0, and variants of a language
        have that of the language.
        """
        if self._identifier is None:
            return [(self._tags[0], 1.0)]
        ranked = {base: float(one) for base, one in self._identifier.rank(text[:_MOST_READ])}
        found = [(tag, ranked.get(base_of(tag), 0.0)) for tag in self._tags]
        return sorted(found, key=lambda item: -item[1])


def match_tag(given: str, served: Sequence[str]) -> str | None:
    """Return the served tag that a client means: the same, or the only one of its language."""
    try:
        tag = normalize_tag(given)
    except ValueError:
        return None
    if tag in served:
        return tag
    of_language = [one for one in served if base_of(one) == base_of(tag)]
    return of_language[0] if len(of_language) == 1 else None


def split_direction(text: str) -> tuple[str, str]:
    """Return the tags of `en-de`, or of `zh-Hans:en` if a tag has hyphens.

    Raises:
        ConfigError: the text is not a direction.
    """
    parts = text.split(":" if ":" in text else "-")
    if len(parts) != 2:
        raise ConfigError(
            f"--languages {text}: must name two languages, such as en-de or zh-Hans:en"
        )
    try:
        source, target = map(normalize_tag, parts)
    except ValueError as error:
        raise ConfigError(f"--languages {text}: {error}") from None
    return source, target
