from protocol.models import ModelKind
from protocol.named_models import named_models
from protocol.requests import TASKS, TaskName, parse_job_request

PICTURE = "upload:x"


def names(task, **params):
    return [
        (named.kind, named.name, named.place)
        for named in named_models(parse_job_request({"task": task, "params": params}).params)
    ]


def test_every_place_that_names_a_model_is_found_in_the_order_a_job_asks_for_them():
    assert names(
        "text_to_image",
        prompt="a cat",
        model="m",
        vae="v",
        loras=[{"name": "l"}, {"name": "k"}],
        controls=[{"model": "c", "image": PICTURE}],
        image_prompts=[{"model": "i", "image": PICTURE}],
        refiner="r",
    ) == [
        (ModelKind.CHECKPOINT, "m", "model"),
        (ModelKind.VAE, "v", "vae"),
        (ModelKind.CONTROLNET, "c", "controls[0].model"),
        (ModelKind.LORA, "l", "loras[0].name"),
        (ModelKind.LORA, "k", "loras[1].name"),
        (ModelKind.IP_ADAPTER, "i", "image_prompts[0].model"),
        (ModelKind.CHECKPOINT, "r", "refiner"),
    ]


def test_a_brushnet_is_named_in_the_tasks_that_keep_a_part_of_a_picture():
    params = {"prompt": "a cat", "image": PICTURE, "brushnet": {"model": "b"}}
    named = [(ModelKind.CHECKPOINT, None, "model"), (ModelKind.BRUSHNET, "b", "brushnet.model")]
    assert names("inpaint", **params, mask=PICTURE) == named
    assert names("outpaint", **params, left=8) == named


def test_a_generating_task_that_names_none_wants_the_default():
    assert names("image_to_image", prompt="a cat", image=PICTURE) == [(ModelKind.CHECKPOINT, None, "model")]


def test_other_tasks_name_none_but_the_one_they_load():
    assert names("load_model", model="m") == [(ModelKind.CHECKPOINT, "m", "model")]
    assert names("upscale", image=PICTURE, model="x4plus") == []


def test_no_parameter_of_a_task_that_takes_a_model_name_is_forgotten():
    told = {named.place.partition("[")[0].partition(".")[0] for named in named_models(_everything())}
    for task in TaskName:
        schema = TASKS[task].params.model_json_schema()
        described = {name for name, field in schema["properties"].items() if "As `/v1/models` lists it" in str(field)}
        inner = {
            name
            for name, field in schema["properties"].items()
            for ref in ("LoraRef", "ControlRef", "ImagePromptRef", "BrushNet")
            if ref in str(field)
        }
        assert described | inner <= told, task


def _everything():
    request = {
        "prompt": "a cat",
        "vae": "v",
        "loras": [{"name": "l"}],
        "controls": [{"model": "c", "image": PICTURE}],
        "image_prompts": [{"model": "i", "image": PICTURE}],
        "refiner": "r",
        "image": PICTURE,
        "mask": PICTURE,
        "brushnet": {"model": "b"},
    }
    return parse_job_request({"task": "inpaint", "params": request}).params
