"""Who may call a server with keys, and what each key sees."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from protocol.codec import JSON, Codec
from service.auth import Scope, add_key, revoke_key
from tests.integration.viewers import Viewer, finished, png, started_running, submit
from tests.servers import ThreadServer, thread_server, until

pytestmark = pytest.mark.usefixtures("quiet_log")

ANNA, BERT = "key-of-anna", "key-of-bert"
SMALL = {"steps": 1, "width": 8, "height": 8}
LONG = {"steps": 1000, "step_ms": 20, "width": 8, "height": 8}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "data"


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[ThreadServer]:
    with thread_server(data_dir, api={"keys": (ANNA, BERT)}, auth_timeout_s=0.3) as running:
        yield running


@pytest.fixture
def anna(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client(headers={"X-API-Key": ANNA}) as client:
        yield client


@pytest.fixture
def bert(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client(headers={"X-API-Key": BERT}) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": ANNA}, {"Authorization": f"Bearer {ANNA}"}, {"authorization": f"bearer  {ANNA}"}],
    ids=["own header", "bearer", "bearer in small letters"],
)
def test_known_key_is_let_in(http: httpx.Client, headers: dict[str, str]) -> None:
    assert http.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "wrong"},
        {"X-API-Key": ANNA + "x"},
        {"X-API-Key": ANNA[:-1]},
        {"X-API-Key": ANNA.upper()},
        {"X-API-Key": "k" * 4000},
        {"X-API-Key": b"\xff\xfe"},
        {"Authorization": f"Basic {ANNA}"},
        {"Authorization": "Bearer"},
        {"Authorization": ANNA},
        {"Cookie": f"key={ANNA}"},
    ],
    ids=str,
)
def test_unknown_key_is_refused_everywhere_but_where_health_is_asked(
    http: httpx.Client, headers: dict[str, str]
) -> None:
    for method, path in (
        ("GET", "/v1/jobs"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs/x"),
        ("DELETE", "/v1/jobs/x"),
        ("GET", "/v1/jobs/x/events"),
        ("GET", "/v1/jobs/x/preview"),
        ("GET", "/v1/jobs/x/outputs/0"),
        ("POST", "/v1/uploads"),
        ("GET", "/v1/models"),
    ):
        answer = http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert ANNA not in answer.text
    assert http.get("/v1/health/live", headers=headers).status_code == 200


def test_key_in_the_query_is_no_key(http: httpx.Client) -> None:
    assert http.get("/v1/jobs", params={"api_key": ANNA, "X-API-Key": ANNA}).status_code == 401


def test_upload_without_a_key_is_refused_before_its_body_is_kept(http: httpx.Client, data_dir: Path) -> None:
    before = set((data_dir / "uploads").rglob("*"))
    assert http.post("/v1/uploads", content=png(200, 200)).status_code == 401
    assert set((data_dir / "uploads").rglob("*")) == before


def test_socket_takes_a_key_by_header_by_subprotocol_and_by_first_message(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec, headers={"X-API-Key": ANNA}) as viewer:
        assert viewer.ask("ping")["ok"]
    with Viewer(server, codec, headers={"Authorization": f"Bearer {ANNA}"}) as viewer:
        assert viewer.ask("ping")["ok"]
    with Viewer(server, codec, offered=[f"safelight.key.{ANNA}"]) as viewer:
        assert viewer.connection.subprotocol == codec.subprotocol
        assert viewer.ask("ping")["ok"]
    with Viewer(server, codec) as viewer:
        assert viewer.ask("auth", key=ANNA)["ok"]
        assert viewer.ask("ping")["ok"]


def test_socket_without_a_known_key_is_closed(server: ThreadServer, codec: Codec) -> None:
    for headers, offered in (
        ({"X-API-Key": "wrong"}, []),
        ({"Authorization": "Bearer wrong"}, []),
        ({}, ["safelight.key.wrong"]),
    ):
        with Viewer(server, codec, headers=headers, offered=offered) as viewer:
            assert viewer.closed()[0] == 4401
    for message in ({"type": "auth", "key": "wrong"}, {"type": "ping"}, {"type": "auth"}, {"type": "nonsense"}):
        with Viewer(server, codec) as viewer:
            viewer.say(message.pop("type"), **message)
            assert viewer.closed()[0] == 4401


def test_socket_that_says_nothing_is_closed_in_time(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        code, reason = viewer.closed()
    assert code == 4401
    assert "in time" in reason


def test_socket_that_has_shown_its_key_may_be_silent(server: ThreadServer) -> None:
    with Viewer(server, headers={"X-API-Key": ANNA}) as silent, Viewer(server) as other:
        other.closed()  # as long as the time for showing a key
        assert silent.ask("ping")["ok"]


def test_key_sees_its_own_jobs_only(server: ThreadServer, anna: httpx.Client, bert: httpx.Client, codec: Codec) -> None:
    job = submit(anna, params=LONG, previews="all")
    started_running(anna, job["id"])
    path = f"/v1/jobs/{job['id']}"
    until(lambda: anna.get(f"{path}/preview").status_code == 200, "a preview")
    for method, place in (
        ("GET", path),
        ("GET", f"{path}?wait=1"),
        ("DELETE", path),
        ("GET", f"{path}/events"),
        ("GET", f"{path}/preview"),
        ("GET", f"{path}/outputs/0"),
    ):
        answer = bert.request(method, place)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), place
    stream = bert.get(f"{path}/events", headers={"Accept": "text/event-stream"})
    assert stream.status_code == 404
    assert job["id"] not in bert.get("/v1/jobs").text
    with Viewer(server, codec, headers={"X-API-Key": BERT}) as viewer:
        assert viewer.ask("subscribe", job_id=job["id"])["error"]["code"] == "not_found"
        assert viewer.ask("cancel", job_id=job["id"])["error"]["code"] == "not_found"
        assert viewer.ask("skip", job_id=job["id"])["error"]["code"] == "not_found"
        viewer.ask("subscribe", jobs="mine")
        mine = viewer.submit(params=SMALL, priority="high")
        told = viewer.until_end()
        assert {message["job_id"] for message in told} == {mine["id"]}
    assert anna.delete(path).status_code == 202
    assert finished(anna, job["id"])["status"] == "cancelled"
    assert bert.delete(path).status_code == 404


def test_key_cannot_work_on_pictures_of_another(anna: httpx.Client, bert: httpx.Client) -> None:
    upload = anna.post("/v1/uploads", content=png()).json()["ref"]
    job = finished(anna, submit(anna, params=SMALL)["id"])
    for ref in (upload, f"job:{job['id']}/0"):
        refused = bert.post("/v1/jobs", json={"task": "upscale", "params": {"image": ref}})
        assert (refused.status_code, refused.json()["field"]) == (422, "$.params.image")
        assert finished(anna, submit(anna, "upscale", params={"image": ref})["id"])["status"] == "succeeded"


def test_cursor_of_one_key_tells_another_nothing(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec, headers={"X-API-Key": ANNA}) as anna:
        cursor = anna.ask("subscribe", jobs="mine")["cursor"]
        anna.submit(params=SMALL)
        anna.until_end()
    with Viewer(server, codec, headers={"X-API-Key": BERT}) as bert:
        bert.ask("subscribe", jobs="mine", cursor=cursor)
        job = bert.submit(params=SMALL)
        assert {message["job_id"] for message in bert.until_end()} == {job["id"]}


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ([Scope.JOBS_READ], {"GET"}),
        ([Scope.JOBS_WRITE], {"POST", "DELETE"}),
        ([Scope.MODELS_WRITE], set()),
        ([Scope.ADMIN], {"GET", "POST", "DELETE"}),
    ],
    ids=lambda value: "+".join(sorted(value)) or "nothing",
)
def test_key_may_do_what_its_scopes_say(
    server: ThreadServer, data_dir: Path, anna: httpx.Client, scopes: list[Scope], allowed: set[str]
) -> None:
    job = submit(anna, params=LONG)
    secret = add_key(data_dir, f"key for {scopes}", scopes)
    body = {"task": "test_pattern", "params": SMALL}
    with server.client(headers={"X-API-Key": secret}) as http:
        until(lambda: http.get("/v1/jobs").status_code != 401, "the new key to be known")
        for method, path, options in (
            ("GET", "/v1/jobs", {}),
            ("GET", f"/v1/jobs/{job['id']}", {}),
            ("GET", f"/v1/jobs/{job['id']}/events", {}),
            ("GET", f"/v1/jobs/{job['id']}/outputs/0", {}),
            ("POST", "/v1/jobs", {"json": body}),
            ("POST", "/v1/uploads", {"content": png()}),
            ("DELETE", f"/v1/jobs/{job['id']}", {}),
        ):
            answer = http.request(method, path, **options)
            assert (answer.status_code != 403) == (method in allowed), (method, path)
            if method not in allowed:
                assert answer.json()["code"] == "forbidden"
                assert "jobs:" in answer.json()["detail"]
    with Viewer(server, JSON, headers={"X-API-Key": secret}) as viewer:
        answers = {
            "GET": viewer.ask("subscribe", jobs="mine"),
            "POST": viewer.ask("submit", job=body, subscribe=False),
            "DELETE": viewer.ask("cancel", job_id=job["id"]),
        }
        for method, reply in answers.items():
            assert (reply.get("error", {}).get("code") != "forbidden") == (method in allowed), method
        skip = viewer.ask("skip", job_id=job["id"])
        assert (skip.get("error", {}).get("code") != "forbidden") == ("DELETE" in allowed)
    anna.delete(f"/v1/jobs/{job['id']}")


def test_admin_sees_and_cancels_the_jobs_of_all(server: ThreadServer, data_dir: Path, anna: httpx.Client) -> None:
    job = submit(anna, params=LONG)
    with server.client(headers={"X-API-Key": add_key(data_dir, "admin", [Scope.ADMIN])}) as admin:
        until(lambda: admin.get(f"/v1/jobs/{job['id']}").status_code == 200, "the new key to be known")
        assert admin.delete(f"/v1/jobs/{job['id']}").status_code == 202
    assert finished(anna, job["id"])["status"] == "cancelled"


def test_revoked_key_is_refused_within_seconds(server: ThreadServer, data_dir: Path) -> None:
    secret = add_key(data_dir, "short-lived", [Scope.JOBS_READ])
    with server.client(headers={"X-API-Key": secret}) as http:
        until(lambda: http.get("/v1/jobs").status_code == 200, "the new key to be known")
        revoke_key(data_dir, "short-lived")
        until(lambda: http.get("/v1/jobs").status_code == 401, "the revoked key to be refused")
    with Viewer(server, headers={"X-API-Key": secret}) as viewer, pytest.raises(ConnectionClosed):
        viewer.next()


def test_socket_whose_key_is_revoked_is_closed(server: ThreadServer, data_dir: Path, codec: Codec) -> None:
    secret = add_key(data_dir, "short-lived", [Scope.JOBS_READ])
    with server.client(headers={"X-API-Key": secret}) as http:
        until(lambda: http.get("/v1/jobs").status_code == 200, "the new key to be known")
    with Viewer(server, codec, headers={"X-API-Key": secret}) as viewer:
        assert viewer.ask("ping")["ok"]
        revoke_key(data_dir, "short-lived")
        assert viewer.closed() == (4401, "this API key has been revoked")


def test_first_key_closes_a_server_that_had_none(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data") as server, server.client() as http:
        assert http.get("/v1/jobs").status_code == 200
        secret = add_key(tmp_path / "data", "first", [Scope.JOBS_READ])
        until(lambda: http.get("/v1/jobs").status_code == 401, "the server to ask for a key")
        assert http.get("/v1/jobs", headers={"X-API-Key": secret}).status_code == 200


def test_header_of_the_key_can_be_chosen(tmp_path: Path) -> None:
    api = {"keys": (ANNA,), "key_header": "X-Secret"}
    with thread_server(tmp_path / "data", api=api) as server, server.client() as http:
        assert http.get("/v1/jobs", headers={"X-Secret": ANNA}).status_code == 200
        assert http.get("/v1/jobs", headers={"X-API-Key": ANNA}).status_code == 401
        assert "X-Secret" in http.get("/v1/jobs").json()["detail"]
