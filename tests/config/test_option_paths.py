from nmt.config.option_paths import option_places


def test_places_of_groups_and_of_plug_ins() -> None:
    assert option_places("learning_rate") == ["training.optimizer.learning_rate"]
    assert option_places("vocabulary_size") == ["tokenizer.vocabulary_size"]
    assert option_places("batch_tokens") == ["training.batch_tokens", "decoding.batch_tokens"]
    assert option_places("patience")[0] == "training.schedule.patience"
    assert option_places("run") == ["run"]
    assert option_places("channels") == ["model.encoder.channels"]
    assert option_places("nonsense") == []


def test_a_place_inside_of_a_list_and_of_what_may_be_null() -> None:
    assert "data.train.weight" in option_places("weight")
    assert option_places("num_heads") == ["model.attention.num_heads"]
