import pytest

from engine.models.catalogue import CATALOGUE, UnknownModel, default_names, find
from protocol.requests import TaskName

# Published by the models' own projects, independently of the carriers.
OFFICIAL_SHA256 = {"mobile_sam.pt": "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"}


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=lambda model: model.name)
def test_every_model_says_what_it_is_and_under_which_licence(model):
    assert model.title
    assert model.tasks
    assert model.licence
    assert model.carrier.licence
    assert model.files


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=lambda model: model.name)
def test_every_file_is_pinned_by_version_size_and_hash(model):
    assert model.carrier.version
    for file in model.files:
        assert file.size_bytes > 0
        assert len(file.sha256) == 64
        assert int(file.sha256, 16)
        assert "/" not in file.name
        assert OFFICIAL_SHA256.get(file.name, file.sha256) == file.sha256


def test_no_two_models_claim_the_same_file():
    names = [file.name for model in CATALOGUE.values() for file in model.files]
    assert len(names) == len(set(names))


def test_the_carrier_that_compiles_code_is_never_used():
    assert CATALOGUE["mobile_sam"].carrier.version == "0.5.12"


def test_the_large_optional_model_is_not_in_the_default_pull():
    assert "u2net" not in default_names()
    assert "u2netp" in default_names()


def test_each_task_with_networks_of_its_own_has_a_default_model():
    for task in (TaskName.UPSCALE, TaskName.REMOVE_BACKGROUND, TaskName.SEGMENT, TaskName.DESCRIBE):
        assert any(model.is_default and task in model.tasks for model in CATALOGUE.values()), task


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(UnknownModel, match="'gfpgan' is not a model; there are compact"):
        find("gfpgan")
