from pathlib import Path

import pytest
from PIL import Image

from protocol.params import OutputFormat
from safelight.folders import FolderProblem, format_named, make_plan


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    return draw(tmp_path / "mask.png")


def draw(path: Path, kind: str | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (4, 4)).save(path, kind)
    return path


def test_pictures_are_taken_in_the_order_of_their_names_and_nothing_else_is(photos: Path, mask: Path) -> None:
    for name in ("b.JPG", "a.png", "c.webp", ".hidden.png"):
        draw(photos / name)
    (photos / "notes.txt").write_text("x")
    (photos / "deeper.png").mkdir()
    plan = make_plan(photos, mask, Path("out"))
    assert [item.picture.name for item in plan.items] == ["a.png", "b.JPG", "c.webp"]
    assert {item.mask for item in plan.items} == {mask}


def test_masks_of_a_folder_belong_to_pictures_of_the_same_stem_and_pictures_without_one_are_told(
    photos: Path, tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.png", "c.png"):
        draw(photos / name)
    for name in ("a.png", "b.bmp", "b.png", "other.png"):
        draw(tmp_path / "masks" / name)
    plan = make_plan(photos, tmp_path / "masks", Path("out"))
    assert {item.name: item.mask.name for item in plan.items if item.mask} == {"a.jpg": "a.png", "b.png": "b.png"}
    assert [picture.name for picture in plan.unmasked] == ["c.png"]


def test_results_are_called_as_their_pictures_unless_the_file_is_of_another_format(photos: Path, mask: Path) -> None:
    for name in ("a.jpeg", "b.tif", "c.JPG"):
        draw(photos / name)
    draw(photos / "really-a.jpg", "PNG")
    draw(photos / "old.tga")
    plan = make_plan(photos, mask, Path("out"))
    names = {item.name: item.target.name for item in plan.items}
    assert names == {
        "a.jpeg": "a.jpeg", "b.tif": "b.tif", "c.JPG": "c.JPG", "really-a.jpg": "really-a.png", "old.tga": "old.jpg",
    }  # fmt: skip


def test_two_pictures_never_have_one_result(photos: Path, mask: Path) -> None:
    for name in ("a.jpg", "a.png", "A.webp"):
        draw(photos / name)
    plan = make_plan(photos, mask, Path("out"), output_format=OutputFormat.PNG)
    names = {item.name: item.target.name for item in plan.items}
    assert names == {"A.webp": "A.png", "a.jpg": "a.jpg.png", "a.png": "a.png.png"}


def test_what_has_its_result_is_not_worked_on_again_unless_asked(photos: Path, mask: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(photos / name)
    out = draw(tmp_path / "out" / "a.png").parent
    plan = make_plan(photos, mask, out)
    assert [[item.name for item in part] for part in (plan.items, plan.present)] == [["b.png"], ["a.png"]]
    assert len(make_plan(photos, mask, out, overwrites=True).items) == 2


def test_a_single_picture_may_name_its_result(photos: Path, mask: Path, tmp_path: Path) -> None:
    picture = draw(photos / "a.jpg")
    named = make_plan(picture, mask, tmp_path / "new.webp", output_format=OutputFormat.WEBP)
    assert named.items[0].target == tmp_path / "new.webp"
    with pytest.raises(FolderProblem, match=r"ends with \.jpg"):
        make_plan(picture, mask, tmp_path / "new.bmp")
    assert make_plan(picture, mask, tmp_path / "out").items[0].target == tmp_path / "out" / "a.jpg"
    assert make_plan(picture, None, tmp_path / "out").items[0].mask is None


@pytest.mark.parametrize(
    ("image", "mask_name", "output", "message"),
    [
        ("nowhere", "mask.png", "out", "no .*nowhere"),
        ("empty", "mask.png", "out", "no pictures"),
        ("photos", "nothing.png", "out", "--mask"),
        ("photos", "mask.png", "photos", "one of the pictures"),
        ("photos/a.png", "mask.png", "photos/a.png", "one of the pictures"),
        ("photos", "mask.png", "mask.png", "is a file"),
    ],
)
@pytest.mark.usefixtures("mask")
def test_folders_that_cannot_be_worked_with_are_refused(
    photos: Path, tmp_path: Path, image: str, mask_name: str, output: str, message: str
) -> None:
    draw(photos / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderProblem, match=message):
        make_plan(tmp_path / image, tmp_path / mask_name, tmp_path / output)


def test_a_file_name_asks_for_a_format() -> None:
    assert [format_named(Path(name)) for name in ("a.PNG", "a.jfif", "a.webp", "a.bmp")] == [
        OutputFormat.PNG, OutputFormat.JPEG, OutputFormat.WEBP, OutputFormat.SOURCE,
    ]  # fmt: skip
