import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from starlette.routing import Route

from protocol.errors import HTTP_STATUS, ErrorCode
from protocol.requests import TASKS
from service import app
from service.api import docs_pages, openapi, page
from service.api.openapi import Answer, Content, Operation, Parameter
from service.api.operations import OPERATIONS, SCHEMAS, TAGS
from service.auth import Scope

ROUTES = (*app.ROUTES, *page.ROUTES)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document(OPERATIONS, tags=TAGS, schemas=SCHEMAS, key_header="X-Key")


def nested(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nested(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from nested(each)


def resolve(document: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/"), reference
    place: Any = document
    for part in reference.removeprefix("#/").split("/"):
        place = place[part.replace("~1", "/").replace("~0", "~")]
    return place


def described() -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in openapi.document(OPERATIONS, tags=TAGS, schemas=SCHEMAS)["paths"].values():
        yield from methods.items()


def test_every_route_is_described_and_nothing_else_is() -> None:
    routes = {
        (method, re.sub(r":\w+\}", "}", route.path))
        for route in ROUTES
        if isinstance(route, Route) and route.name != "docs_asset"
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert {(operation.method, operation.path) for operation in OPERATIONS} == routes


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = [each["$ref"] for each in nested(document) if isinstance(each.get("$ref"), str)]
    assert len(references) > 50
    for reference in references:
        resolve(document, reference)


def test_the_document_has_what_openapi_requires(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    tags = {tag["name"] for tag in document["tags"]}
    identifiers = []
    for _, operation in described():
        identifiers.append(operation["operationId"])
        assert set(operation["tags"]) <= tags
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert response["description"]
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] in {"path", "query", "header"}
            assert parameter["required"] or parameter["in"] != "path"
    assert len(identifiers) == len(set(identifiers))


def test_every_schema_is_a_schema(document: dict[str, Any]) -> None:
    for name, each in document["components"]["schemas"].items():
        try:
            jsonschema.Draft202012Validator.check_schema(each)
        except jsonschema.SchemaError as error:
            pytest.fail(f"{name}: {error.message}")


def test_a_job_request_is_checked_against_the_parameters_of_its_task(document: dict[str, Any]) -> None:
    request = {"$ref": "#/components/schemas/JobRequest", "components": document["components"]}
    validator = jsonschema.Draft202012Validator(request)
    task = "upscale"
    assert task in TASKS
    assert validator.is_valid({"task": task, "params": {"image": "upload:1"}})
    assert not validator.is_valid({"task": task, "params": {}})
    assert not validator.is_valid({"task": "dream", "params": {"image": "upload:1"}})


def test_every_refusal_is_a_problem_document_that_links_to_its_codes(document: dict[str, Any]) -> None:
    for _, operation in described():
        for status, response in operation["responses"].items():
            if int(status) >= 400 and operation["operationId"] != "ready":
                assert response["content"] == {"application/problem+json": {"schema": openapi.ref("Problem")}}
                codes = re.findall(r"#(\w+)\)", response["description"])
                assert codes
                assert all(HTTP_STATUS[ErrorCode(code)] == int(status) for code in codes)


def test_what_needs_a_key_says_so_and_what_does_not_does_not(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert paths["/v1/jobs"]["post"]["security"] == [{"key": ["jobs:write"]}, {"bearer": ["jobs:write"]}, {}]
    assert "401" in paths["/v1/jobs"]["post"]["responses"]
    assert "security" not in paths["/v1/health/live"]["get"]
    assert "401" not in paths["/v1/health/live"]["get"]["responses"]
    assert document["components"]["securitySchemes"]["key"]["name"] == "X-Key"


def test_an_operation_that_forgets_a_path_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="getThing"):
        Operation(
            id="getThing",
            method="GET",
            path="/things/{thing_id}",
            tag="server",
            summary="A thing",
            scope=Scope.JOBS_READ,
            parameters=(Parameter(name="other", where="path", description="", schema={}),),
            answers=(Answer(status=200, content=Content(description="It.", media={})),),
        )


def test_every_error_code_has_its_sentence_and_its_anchor() -> None:
    assert set(docs_pages.MEANINGS) == set(ErrorCode)
    page = docs_pages._errors_page()
    for code in ErrorCode:
        assert f'id="{code}"' in page


def test_every_bundled_file_is_there_and_no_other_name_is_served() -> None:
    bundled = docs_pages._bundled()
    assert all(path.is_file() for path in bundled.values())
    pages = docs_pages._SWAGGER + docs_pages._REDOC + docs_pages._errors_page()
    assert set(re.findall(r"/docs/assets/([\w.-]+)", pages)) == {*bundled, *docs_pages._OWN_ASSETS}


def test_no_page_names_another_server_or_holds_a_script() -> None:
    own = [text for _, text in docs_pages._OWN_ASSETS.values()]
    for text in (docs_pages._SWAGGER, docs_pages._REDOC, docs_pages._errors_page(), *own):
        assert "//" not in text.replace("/openapi.json", "")
        assert not re.search(r"<script(?! src=)", text)
