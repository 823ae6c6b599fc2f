"""A server that cannot go on ends, instead of living on by half."""

import threading
from pathlib import Path

from service.drafts import Draft
from tests.servers import DEADLINE_S, thread_server, until


class _Broken(Exception):
    pass


def test_a_server_whose_pump_fails_ends_and_answers_those_who_wait(tmp_path: Path) -> None:
    with thread_server(tmp_path) as server, server.client() as http:
        pump = server.services.log

        async def fail(_drafts: list[Draft]) -> None:
            raise _Broken

        pump._process = fail  # type: ignore[method-assign, assignment]
        answers: list[int] = []

        def submit() -> None:
            answers.append(http.post("/v1/jobs", json={"task": "test_pattern"}).status_code)

        thread = threading.Thread(target=submit)
        thread.start()
        until(lambda: server.server.should_exit, "the server to give up")
        thread.join(3 * DEADLINE_S)
        assert answers == [503]
    assert server.server.has_failed
