"""Building backbones: their weights, their facts, and what is refused."""

import os
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from trials import CLEAN, trial

from evoft.errors import BackboneError
from evoft.settings import TrainingSettings
from evoft.training.backbone import (
    build,
    complete_weights,
    digest,
    facts_of,
    preprocessing_of,
    start_weights,
)
from evoft.training.facts import BackboneFacts
from evoft.training.freezing import classifier_names
from evoft.training.hub import place_to_fetch_from
from evoft.training.sizes import check_size
from evoft.training.survey import Surveyor


def refused(model, words, look=Surveyor.survey, **settings):
    with pytest.raises(BackboneError) as caught:
        look(Surveyor(TrainingSettings(models=(model,), **settings), 3))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_weights_with_two_classifiers_of_other_classes_fit(tmp_path):
    settings = TrainingSettings(models=("volo_d1_224",), img_size=64)
    model = build("volo_d1_224", settings, 1000, pretrained=False)
    wanted = {"head.weight", "head.bias", "aux_head.weight", "aux_head.bias"}
    assert classifier_names(model) == wanted
    save_file(model.state_dict(), tmp_path / "volo.safetensors")
    mine = replace(settings, checkpoint=str(tmp_path / "volo.safetensors"))
    weights = complete_weights("volo_d1_224", mine, 3)
    assert not wanted & set(weights)
    assert all(torch.equal(weights[name], model.state_dict()[name]) for name in weights)


class TestRefusals:
    def test_weights_that_do_not_fit(self, tmp_path):
        other, wide, short = (str(tmp_path / f"{n}.safetensors") for n in "abc")
        save_file({"x": torch.zeros(3)}, other)
        state = timm.create_model("test_resnet", num_classes=0).state_dict()
        save_file({n: torch.zeros(*t.shape, 2) for n, t in state.items()}, wide)
        save_file({n: t for n, t in state.items() if not n.startswith("layer4")}, short)
        for file in (other, wide, short):
            words = [f"the weights in {file} do not fit test_resnet (", "from this architecture"]
            refused("test_resnet", words, checkpoint=file)

    @pytest.mark.parametrize("kind", ["running_mean", "running_var", "bias", "bn1.weight"])
    def test_constants_that_a_file_lacks(self, tmp_path, kind):
        file = str(tmp_path / "a.safetensors")
        state = timm.create_model("test_resnet", num_classes=0).state_dict()
        save_file({n: t for n, t in state.items() if not n.endswith(kind)}, file)
        refused("test_resnet", [f"{file} do not fit test_resnet (they have no "], checkpoint=file)

    def test_weights_that_are_no_numbers(self, tmp_path):
        file = str(tmp_path / "a.safetensors")
        state = timm.create_model("test_resnet").state_dict()
        state["layer1.0.conv1.weight"][0] = torch.nan
        save_file(state, file)
        words = [f"{file} are no numbers in layer1.0.conv1.weight"]
        refused("test_resnet", words, checkpoint=file)

    @pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a"])
    def test_a_file_of_something_else(self, tmp_path, name):
        for content in (b"", b"hello", os.urandom(200)):
            (tmp_path / name).write_bytes(content)
            file = str(tmp_path / name)
            refused("test_resnet", [f"{file} cannot be read as weights ("], checkpoint=file)

    def test_weights_among_other_objects(self, tmp_path):
        file = str(tmp_path / "a.pth")
        state = timm.create_model("test_resnet").state_dict()
        torch.save({"state_dict": state, "by": Path("me")}, file)
        words = [f"{file} holds Python objects beside its weights", "save the weights alone"]
        refused("test_resnet", words, checkpoint=file)
        torch.save({"state_dict": state, "args": Namespace(lr=0.1)}, file)  # as timm's scripts do
        settings = TrainingSettings(models=("test_resnet",), checkpoint=file)
        weights = complete_weights("test_resnet", settings, 3)
        assert all(torch.equal(weights[name], state[name]) for name in weights)

    def test_images_of_one_channel(self):
        words = ["images have three channels here", "leave in_chans out"]
        for look in (Surveyor.survey, Surveyor.check_arguments):
            grey = {"in_chans": 1}
            refused("test_resnet", words, look, pretrained=False, model_kwargs=grey)
        settings = TrainingSettings(models=("test_resnet",), model_kwargs={"in_chans": 3})
        build("test_resnet", settings, 3, pretrained=False)

    @pytest.mark.parametrize("known", [False, True])
    def test_an_encoder_without_a_classifier(self, monkeypatch, known):
        small = {"depth": 1, "embed_dim": 64, "num_heads": 2}
        model, words = "qwen3_vit_88m_enc", "qwen3_vit_88m_enc is an encoder, without a classifier"
        if not known:
            monkeypatch.setattr(timm, "is_model", lambda name: False)
        other = "take qwen3_vit_88m, or another" if known else "take another"
        refused(model, [words, other], pretrained=False, model_kwargs=small)

    def test_weights_that_timm_has_not(self):
        words = ["no weights 'a1_in1kk' of resnet50; it knows resnet50.a1_in1k, "]
        refused("resnet50.a1_in1kk", words)
        refused("resnet50.a1_in1kk", words, pretrained=False)
        refused("resnet50.a1_in1kk", words, Surveyor.check_names)

    def test_a_folder_is_to_be_named_as_one(self, tmp_path):
        (tmp_path / "config.json").write_text("{}")
        words = f"is no name but a folder: name it as `local-dir:{tmp_path}`"
        refused(str(tmp_path), [words], Surveyor.check_names)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("{", "JSONDecodeError"),
            ("{}", "architecture"),
            ('{"architecture": "resnet18x"}', "timm has no model named 'resnet18x'"),
        ],
    )
    def test_a_folder_that_does_not_say_what_it_holds(self, tmp_path, content, words):
        (tmp_path / "config.json").write_text(content)
        said = [f"{tmp_path}/config.json does not say which model of timm's is there (", words]
        refused(f"local-dir:{tmp_path}", said, Surveyor.check_names)
        refused(f"local-dir:{tmp_path}", said, img_size=64)

    def test_a_name_alone_tells_of_a_model_that_timm_has_not(self):
        refused("resnet18x", ["no model named 'resnet18x'; it knows "], Surveyor.check_names)
        known = ("resnet18", "resnet50.a1_in1k", "embedded", "local-dir:x", "hf-hub:x/y")
        Surveyor(TrainingSettings(models=known), 3).check_names()

    def test_arguments_are_tried_without_weights_and_without_a_hub(self, monkeypatch):
        check = Surveyor.check_arguments
        words = ["timm cannot build test_resnet with these", "nosuch", ": mend --model-kwargs"]
        refused("test_resnet", words, check, model_kwargs={"nosuch": 1})
        refused("test_resnet", ["cannot build", ": mend"], check, model_kwargs={"act_layer": "no"})
        monkeypatch.setattr(timm, "create_model", lambda name, **_: pytest.fail(name))
        check(Surveyor(TrainingSettings(models=("hf-hub:x/y",), model_kwargs={"nosuch": 1}), 3))

    def test_sizes_and_arguments(self):
        refused("test_vit", ["33 x 33 pixels"], pretrained=False, img_size=33)
        refused("test_resnet", ["nosuch"], pretrained=False, model_kwargs={"nosuch": 1})


class TestSizes:
    """Models that are made for one size of images, by each kind of name."""

    @pytest.mark.parametrize("pretrained", [False, True])
    def test_a_folder(self, tmp_path, pretrained):
        timm.models.save_for_hf(
            timm.create_model("test_vit", num_classes=5), tmp_path, safe_serialization=True
        )
        settings = TrainingSettings(models=(f"local-dir:{tmp_path}",), img_size=64)
        facts = facts_of(*settings.models, replace(settings, pretrained=pretrained), 3)
        assert facts.preprocessing.img_size == (64, 64)
        check_size(*settings.models, settings)

    def test_a_name_that_timm_has_retired(self, monkeypatch):
        settings = TrainingSettings(img_size=32, pretrained=False)
        facts = facts_of("vit_tiny_patch16_224_in21k", settings, 3)
        assert facts.preprocessing.img_size == (32, 32)
        fetched = place_to_fetch_from("tf_efficientnet_b0_ns")
        assert fetched is not None
        assert fetched.endswith("/timm/tf_efficientnet_b0.ns_jft_in1k")


class TestWeights:
    def test_a_file_is_loaded_the_classifier_apart(self, tmp_path):
        source = timm.create_model("test_resnet", num_classes=5)
        save_file(source.state_dict(), tmp_path / "w.safetensors")
        settings = TrainingSettings(
            models=("test_resnet",), checkpoint=str(tmp_path / "w.safetensors")
        )
        weights = start_weights("test_resnet", settings, 3)
        assert set(weights) == set(source.state_dict()) - classifier_names(source)
        for name, tensor in weights.items():
            assert torch.equal(tensor, source.state_dict()[name])

    def test_a_file_may_take_the_embedded_ones_place(self, tmp_path):
        own = start_weights("embedded", TrainingSettings(), 3)
        save_file({n: t * 2 for n, t in own.items()}, tmp_path / "w.safetensors")
        settings = TrainingSettings(checkpoint=str(tmp_path / "w.safetensors"))
        weights = start_weights("embedded", settings, 3)
        assert all(torch.equal(weights[n], own[n] * 2) for n in own)
        assert digest(weights) != digest(own)

    @pytest.mark.parametrize("from_a_file", [False, True])
    def test_a_worker_reads_them_once(self, make_tuner, space, tmp_path, monkeypatch, from_a_file):
        own = start_weights("embedded", TrainingSettings(), 3)
        save_file(own, tmp_path / "w.safetensors")
        file = str(tmp_path / "w.safetensors") if from_a_file else None
        tuner = make_tuner(TrainingSettings(epochs=1, checkpoint=file))
        read, create = [], timm.create_model

        def counted(*arguments, pretrained, **named):
            read.extend([1] if pretrained else [])
            return create(*arguments, pretrained=pretrained, **named)

        monkeypatch.setattr(timm, "create_model", counted)
        for number, depth in enumerate((0.0, 0.5, 1.0)):
            tuner.evaluate(trial(space, number, **CLEAN, freeze_depth=depth, drop=number / 4))
        assert len(read) == 1

    def test_none_without_pretraining(self):
        assert start_weights("embedded", TrainingSettings(pretrained=False), 3) == {}

    def test_the_digest_tells_names_shapes_and_values_apart(self):
        one = {"a": torch.zeros(4), "b": torch.ones(2)}
        assert digest(one) == digest(dict(reversed(one.items())))
        others = [
            {"a": torch.zeros(2, 2), "b": torch.ones(2)},
            {"a": torch.zeros(4), "c": torch.ones(2)},
            {"a": torch.zeros(4), "b": torch.tensor([1.0, 1.0 + 2**-23])},
            {"a": torch.zeros(4, dtype=torch.int32), "b": torch.ones(2)},
        ]
        assert len({digest(d) for d in [one, *others]}) == 5


def test_facts_follow_timms_data_config_and_the_settings():
    settings = TrainingSettings(models=("test_resnet",), pretrained=False, std=(0.1, 0.2, 0.3))
    facts = facts_of("test_resnet", settings, 3)
    config = timm.get_pretrained_cfg("test_resnet")
    assert facts.preprocessing.img_size == config.input_size[1:]
    assert facts.preprocessing.mean == config.mean
    assert facts.preprocessing.std == (0.1, 0.2, 0.3)
    assert facts.weights == ""
    built = build("test_resnet", settings, 3, pretrained=False)
    assert facts.parameters == sum(p.numel() for p in built.parameters())
    assert BackboneFacts.from_dict(facts.to_dict()) == facts
    # Files made before there were probes have more in them.
    assert BackboneFacts.from_dict({**facts.to_dict(), "train_seconds": 1.0}) == facts


def test_crop_and_interpolation_are_the_backbones_own_unless_set():
    model = build("test_resnet", TrainingSettings(pretrained=False), 3, pretrained=False)
    config = timm.get_pretrained_cfg("test_resnet")
    own = preprocessing_of(model, TrainingSettings())
    assert (own.crop_pct, own.interpolation) == (config.crop_pct, config.interpolation)
    other = preprocessing_of(model, TrainingSettings(crop_pct=1, interpolation="hamming"))
    assert other == replace(own, crop_pct=1.0, interpolation="hamming")
    assert other != own
