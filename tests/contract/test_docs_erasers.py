"""The page about models and the table of published erase models say the same."""

from pathlib import Path

import pytest

from engine.inpainting.published import FILES, LICENCES, VARIABLES
from protocol.erasing import EraseModel

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8").partition("## Erase models")[2]
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|")) for line in PAGE.splitlines() if line.startswith("| ")
]
MODELS = pytest.mark.parametrize("model", FILES)


@MODELS
def test_a_model_has_its_licence_where_it_is_said_and_whether_it_is_for_commercial_use(model: EraseModel) -> None:
    licence = LICENCES[model]
    (row,) = [row for row in ROWS if row[0] == model.value]
    assert (row[1], row[3]) == (licence.name, licence.why)
    assert row[2].startswith("yes") is licence.is_commercial


@MODELS
def test_a_file_has_its_release_checksum_and_variables(model: EraseModel) -> None:
    for file in FILES[model]:
        tag = file.url.split("/")[-2]
        assert (f"{file.name} ({model.value})", f"`{tag}`", f"`{file.md5}`", f"`{VARIABLES[file.name]}_...`") in ROWS


@MODELS
def test_address_is_made_as_the_page_says(model: EraseModel) -> None:
    assert all(file.url.startswith("https://github.com/Sanster/models/releases/download/") for file in FILES[model])
