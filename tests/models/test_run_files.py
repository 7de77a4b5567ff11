"""The run files in data/: each is good, builds its graph, and says what it builds."""

from __future__ import annotations

import pytest

from distnn import config, graph
from distnn.models import build
from tests.support.launch import REPOSITORY

RUN_FILES = {
    "digits": ("64-64-32-10, relu", 6_570),
    "digits-resnet": ("ResNet-8: 8×8-16(×3)-32(×3)-64(×3)-10, relu", 77_754),
    "fashion-logistic": ("784-10", 7_850),
    "fashion-mlp": ("784-256-128-100-10, relu", 247_766),
    "fashion-cnn": ("convnet: 28×28-32-64-128-10, relu", 421_642),
    "fashion-resnet": ("ResNet-8: 28×28-16(×3)-48(×3)-96(×3)-10, relu", 164_122),
    "fashion-resnet18": ("ResNet-18: 28×28-64(×5)-128(×5)-256(×5)-512(×5)-10, relu", 11_172_810),
}


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_run_file_builds_what_it_says(name):
    settings = config.read(REPOSITORY / "data" / f"{name}.toml")
    digits = name.startswith("digits")
    assert settings.data.path == ("data/digits.h5" if digits else "fm.h5")
    shape = (8, 8) if digits else (28, 28)
    model = build(settings.model.table(), shape, task="classification", classes=tuple("0123456789"))
    description, count = RUN_FILES[name]
    assert model.description == description
    drawn = graph.draw(model.loss).dot
    assert f"{count:,} parameters" in drawn
    assert config.from_dict(config.to_dict(settings)) == settings


def test_the_run_file_of_a_language_model():
    settings = config.read(REPOSITORY / "data" / "bible-lstm.toml")
    facts = {"task": "language", "classes": [chr(k) for k in range(63)], "target_shape": (100,)}
    model = build(settings.model.table(), (100,), **facts)
    assert model.description == "63-64-256-63, lstm"
    assert "348,927 parameters" in graph.draw(model.loss).dot
    assert settings.data.streams and settings.data.path == "bible.h5"
    assert config.from_dict(config.to_dict(settings)) == settings


def test_every_run_file_is_here():
    found = {path.stem for path in (REPOSITORY / "data").glob("*.toml")}
    assert found == {*RUN_FILES, "bible-lstm", "climate-fcn"}  # the last one: tests/parallel/test_climate.py
