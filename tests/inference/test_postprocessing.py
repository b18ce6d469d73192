from nmt.inference.postprocessing import drop_equal_texts
from nmt.search.hypothesis import Hypothesis


def test_a_text_is_kept_once_as_the_best_has_it() -> None:
    a, b, c = (Hypothesis((token,), -float(token), -float(token)) for token in (4, 5, 6))
    found, texts = drop_equal_texts([[a, b, c], [b]], [("x y", "z", "x y"), ("",)])
    assert found == [[a, b], [b]]
    assert texts == [("x y", "z"), ("",)]
