"""Where the pictures of a request are: in parameters of its task, and in the items of lists among them."""

import re
from collections.abc import Mapping
from typing import Any, Final

from protocol.requests import TASKS, JobRequest, TaskName

_IN_LIST: Final = re.compile(r"(?P<parameter>\w+)\[(?P<number>\d+)\]\.image", re.ASCII)


def picture_refs(request: JobRequest) -> dict[str, str]:
    """Name of each picture that was given -> what refers to it.

    A name is that of the parameter, or `controls[0].image`: the JSONPath below `params`. It is the name of the input
    that the engine gets as well.
    """
    spec, params = TASKS[request.task], request.params
    named: dict[str, object] = {name: getattr(params, name) for name in spec.image_fields}
    for parameter in spec.image_lists:
        items = getattr(params, parameter)
        named |= {f"{parameter}[{number}].image": item.image for number, item in enumerate(items)}
    return {name: ref for name, ref in named.items() if isinstance(ref, str)}


def pictures_in(task: TaskName, params: Mapping[str, Any]) -> dict[str, Any]:
    """The same of parameters as a caller gave them, whatever a picture is there; what reads as none is left out."""
    spec = TASKS[task]
    found = {name: params[name] for name in spec.image_fields if params.get(name) is not None}
    for parameter in spec.image_lists:
        items = params.get(parameter)
        for number, item in enumerate(items if isinstance(items, list | tuple) else ()):
            picture = item.get("image") if isinstance(item, Mapping) else getattr(item, "image", None)
            if picture is not None:
                found[f"{parameter}[{number}].image"] = picture
    return found


def with_pictures(params: Mapping[str, Any], pictures: Mapping[str, str]) -> dict[str, Any]:
    """`params`, as JSON has them, with other references: by the names that `picture_refs` gives."""
    changed = dict(params)
    for name, ref in pictures.items():
        place = _IN_LIST.fullmatch(name)
        if place is None:
            changed[name] = ref
            continue
        items = list(changed[place["parameter"]])
        items[int(place["number"])] = {**items[int(place["number"])], "image": ref}
        changed[place["parameter"]] = items
    return changed
