from nmt.inference.postprocessing import Candidate, drop_equal_texts
from nmt.search.hypothesis import Hypothesis


def test_a_text_is_kept_once_as_the_best_has_it() -> None:
    a, b, c = (Hypothesis((token,), -float(token), -float(token)) for token in (4, 5, 6))
    found = drop_equal_texts([Candidate(a, "x y"), Candidate(b, "z"), Candidate(c, "x y")])
    assert found == [Candidate(a, "x y"), Candidate(b, "z")]
    assert drop_equal_texts([Candidate(b, "")]) == [Candidate(b, "")]
