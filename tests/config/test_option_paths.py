from nmt.config.option_paths import option_paths


def test_paths_of_groups_and_plug_ins() -> None:
    assert option_paths("learning_rate") == ["training.optimizer.learning_rate"]
    assert option_paths("vocabulary_size") == ["tokenizer.vocabulary_size"]
    assert option_paths("batch_tokens") == ["training.batch_tokens", "decoding.batch_tokens"]
    assert option_paths("patience")[0] == "training.schedule.patience"
    assert option_paths("run") == ["run"]
    assert option_paths("channels") == ["model.encoder.channels"]
    assert option_paths("nonsense") == []


def test_paths_inside_lists_and_optional_groups() -> None:
    assert "data.train.weight" in option_paths("weight")
    assert option_paths("num_heads") == ["model.attention.num_heads"]
