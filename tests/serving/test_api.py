"""The server's own API shows what a model computes, with the numbers of the translator."""

import json
import math
from typing import Any

import pytest

from nmt.core.errors import UserError
from nmt.inference.views import view_of_translation

LINE = "the old cat sees a dog"


def test_translation_equals_that_of_the_translator(server: Any, models: Any) -> None:
    translator = models.first.translator
    (there,) = translator.translate([LINE], with_alignments=True, with_token_scores=True)
    answer = server.post("/v1/translate", text=LINE, views=True, token_scores=True).json
    assert (answer["model"], answer["source_language"], answer["target_language"]) == (
        "first",
        "en",
        "de",
    )
    (translation,) = answer["translations"]
    assert translation["text"] == there.text
    (segment,) = translation["segments"]
    assert segment["source"] == LINE
    view = view_of_translation(there, 1, LINE, languages=("en", "de")).to_json()
    assert segment["view"] == json.loads(json.dumps(view))
    (best,) = segment["hypotheses"]
    assert best["score"] == pytest.approx(there.hypotheses[0].score, rel=1e-5)
    assert best["tokens"] == translator.target_tokenizer.pieces(there.hypotheses[0].tokens)
    assert best["token_log_probabilities"] == pytest.approx(
        there.token_log_probabilities[0], rel=1e-4, abs=1e-5
    )


def test_n_best_needs_a_beam_as_wide(server: Any) -> None:
    answer = server.post("/v1/translate", text=LINE, n_best=5, beam_size=2).json
    rows = answer["translations"][0]["segments"][0]["hypotheses"]
    assert len(rows) == 5
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)


def test_beam_size_changes_the_search(server: Any, models: Any) -> None:
    from dataclasses import replace

    from nmt.inference.loading import build_search

    translator = models.first.translator
    search = build_search(models.first.decoding.with_beam(1), translator.target_tokenizer)
    greedy = replace(translator, runner=replace(translator.runner, search=search))
    answer = server.post("/v1/translate", text=LINE, beam_size=1).json
    assert answer["translations"][0]["text"] == greedy.translate([LINE])[0].text


def test_prefix_is_kept(server: Any) -> None:
    answer = server.post("/v1/translate", text=LINE, prefix="small house").json
    assert answer["translations"][0]["text"].startswith("small house")


def test_alternatives_keep_the_prefix(server: Any, models: Any) -> None:
    found = server.post("/v1/alternatives", text=LINE, prefix="small house", count=4).json
    rows = found["alternatives"]
    assert len(rows) == 4
    assert len({row["word"] for row in rows}) == 4
    for row in rows:
        assert row["prefix"] == f"small house {row['word']}"
        assert row["text"].startswith(row["prefix"])
    shares = [row["probability"] for row in rows]
    assert shares == sorted(shares, reverse=True)
    # The probability of a word is that of its token, as it is scored.
    (scored,) = models.first.translator.score([(LINE, rows[0]["prefix"])])
    assert shares[0] == pytest.approx(math.exp(scored.token_log_probabilities[2]), rel=1e-4)
    assert server.post("/v1/alternatives", text=LINE).json["alternatives"]


def test_scores_and_alignments(server: Any, models: Any) -> None:
    pairs = [(LINE, "small house"), ("a dog", "")]
    scores = server.post("/v1/score", pairs=pairs).json["scores"]
    for row, there in zip(scores, models.first.translator.score(pairs), strict=True):
        assert row["log_probability"] == pytest.approx(there.log_probability, rel=1e-5)
        assert tuple(row["tokens"]) == there.tokens
    found = server.post("/v1/align", pairs=pairs).json["alignments"]
    for row, there in zip(found, models.first.translator.align(pairs), strict=True):
        assert tuple(row["target_words"]) == there.target_words
        assert len(row["weights"]) == len(there.target_words)
        for got, expected in zip(row["weights"], there.weights, strict=True):
            assert got == pytest.approx(list(expected), rel=1e-4, abs=1e-6)
        assert {tuple(link) for link in row["links"]} == set(there.links)


def test_trace_is_that_of_the_translator(server: Any, models: Any) -> None:
    there = models.first.translator.trace(LINE, prefix="small")
    assert server.post("/v1/trace", text=LINE, prefix="small").json == json.loads(
        json.dumps(there.view(languages=models.first.languages))
    )
    assert server.post("/v1/trace", text=LINE, prefix="small", arrays=True).json == json.loads(
        there.to_json()
    )


def test_models_are_listed(server: Any) -> None:
    assert server.get("/v1/models").json["models"][1] == {
        "name": "second",
        "kind": "run",
        "source": {"code": "en", "name": "English"},
        "target": {"code": "fr", "name": "French"},
        "beam_size": 3,
        "has_attention": True,
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("translate", {"text": LINE, "model": "x"}, 400, "model: 'x' is not served; choose from"),
        ("translate", {"text": "a" * 20_001}, 413, "text: 20,001 characters, above 20,000; send"),
        ("translate", {"text": ["a"] * 1_001}, 413, "text: 1,001 lines, above 1,000; send it in"),
        ("translate", {"text": LINE, "n_best": 0}, 400, "n_best: input should be greater than or"),
        (
            "translate",
            {"text": LINE, "beams": 2},
            400,
            "beams: extra inputs are not permitted",
        ),
        (
            "translate",
            {"text": "a\nb", "prefix": "a"},
            400,
            "text: must be a single line; send",
        ),
        (
            "translate",
            {"text": ["a", "b"], "prefix": "a"},
            400,
            "prefix: needs one plain text;",
        ),
        ("alternatives", {"text": " "}, 400, "text: is blank; send a text of at least one word"),
        ("trace", {"text": ""}, 400, "text: is blank; send a text of at least one word"),
        ("score", {"pairs": [["a"]]}, 400, "pairs.0.1: field required; /openapi.json describes"),
        ("align", {"pairs": "a"}, 400, "pairs: input should be a valid array; /openapi.json"),
    ],
)
def test_requests_that_are_refused(
    server: Any, path: str, body: dict[str, Any], status: int, message: str
) -> None:
    answer = server.post(f"/v1/{path}", **body)
    assert answer.status == status
    assert answer.error.startswith(message)


def test_an_exported_file_only_translates(serve: Any, models: Any) -> None:
    """The translator of the file is replaced, as exporting takes long."""
    from nmt.serving.models import ModelRegistry, ServedFile

    class Exported:
        beam_size = 3
        target_tokenizer = models.first.translator.target_tokenizer
        translate_windows = staticmethod(models.first.translator.translate_windows)

    server = serve(ModelRegistry([ServedFile("file", ("en", "de"), Exported())]))  # type: ignore[arg-type]
    answer = server.post("/v1/translate", text=LINE, views=True).json
    assert answer["translations"][0]["segments"][0]["view"]["omitted"] is not None
    trace = server.post("/v1/trace", text=LINE).json
    assert trace["lacks"][0].startswith("states, gates, attention and beam, which stay inside")
    for path, body in (
        ("translate", {"text": LINE, "prefix": "a"}),
        ("translate", {"text": LINE, "token_scores": True}),
        ("alternatives", {"text": LINE}),
        ("score", {"pairs": []}),
        ("align", {"pairs": []}),
        ("trace", {"text": LINE, "prefix": "a"}),
    ):
        refused = server.post(f"/v1/{path}", **body)
        assert refused.status == 400
        assert refused.error.endswith("which only translates; serve its run for it")
    with pytest.raises(UserError):
        ServedFile("file", ("en", "de"), Exported()).require_run("x")  # type: ignore[arg-type]


def test_openapi_describes_every_answer(server: Any) -> None:
    described = server.get("/openapi.json").json
    text = json.dumps(described)
    assert "422" not in text
    assert "ValidationError" not in text
    operations = described["paths"]["/v1/translate"]["post"]
    assert set(operations["responses"]) >= {"200", "400", "401", "403", "408", "413", "429", "503"}
    kinds = set(operations["requestBody"]["content"])
    assert kinds == {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }
    for path in ("/docs", "/redoc"):  # they would load scripts from a network
        assert server.get(path).status == 404


def test_metrics_have_no_texts(server: Any) -> None:
    server.post("/v1/translate", text="xylophone")
    server.get("/xylophone")
    text = server.get("/metrics").body.decode()
    assert 'nmt_requests_total{path="/v1/translate",status="200"}' in text
    assert 'nmt_requests_total{path="other",status="404"}' in text
    assert 'nmt_lines_total{model="first"}' in text
    assert "xylophone" not in text


def test_the_page_runs_nothing_from_elsewhere(server: Any) -> None:
    answer = server.get("/")
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"http" not in answer.body.replace(b"http-equiv", b"")
    script = server.get("/page.js").body.decode()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in script
