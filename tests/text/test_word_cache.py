from nmt.text.word_cache import remember_words


def test_the_latest_short_words_are_computed_once():
    asked = []

    def shout(word: str) -> str:
        asked.append(word)
        return word.upper()

    remembered = remember_words(shout, most=2)
    assert [remembered(word) for word in ("a", "b", "a", "c", "a", "b")] == list("ABACAB")
    assert asked == ["a", "b", "c", "b"]


def test_long_words_are_computed_each_time_to_bound_the_memory():
    asked = []
    remembered = remember_words(lambda word: asked.append(word) or len(word))
    assert [remembered("x" * 51), remembered("x" * 51), remembered("x" * 50)] == [51, 51, 50]
    assert len(asked) == 3
