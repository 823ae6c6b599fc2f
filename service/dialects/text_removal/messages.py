"""What the progress sockets say and hear, as JSON: one function per message of the server."""

import time
from collections.abc import Mapping
from typing import Any, Final

import orjson

from service.clock import now
from service.dialects.text_removal.states import TaskState, TaskStatus, iso

RESULT_PATH: Final = "/api/v1/task-result"


class NoMessage(Exception):
    """A frame that says nothing this service understands; the message is for its sender."""


def read(text: str | None) -> tuple[str, Mapping[str, Any]]:
    """The type of a message and its fields.

    Args:
        text: of a frame; None for a binary one.

    Raises:
        NoMessage: it is none.
    """
    try:
        fields = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        raise NoMessage("Invalid JSON format") from None
    kind = fields.get("type") if isinstance(fields, dict) else None
    if not kind:
        raise NoMessage("Message type is required")
    return str(kind), fields


def connection_established(connection_id: str, task_id: str | None) -> dict[str, Any]:
    return {
        "type": "connection_established",
        "connection_id": connection_id,
        "task_id": task_id,
        "timestamp": _timestamp(),
    }


def task_subscribed(task_id: str) -> dict[str, Any]:
    return {"type": "task_subscribed", "task_id": task_id, "timestamp": _timestamp()}


def task_unsubscribed(task_id: str) -> dict[str, Any]:
    return {"type": "task_unsubscribed", "task_id": task_id, "timestamp": _timestamp()}


def pong(timestamp: object) -> dict[str, Any]:
    """
    Args:
        timestamp: as the ping had it.
    """
    return {"type": "pong", "timestamp": timestamp}


def error(text: str) -> dict[str, Any]:
    return {"type": "error", "error": text, "timestamp": time.time()}


def cancel_failed(text: str) -> dict[str, Any]:
    """The one error that says what it is in `message`."""
    return {"type": "error", "message": text}


def snapshot(state: TaskState) -> dict[str, Any]:
    """Follows `task_subscribed`: where the task stands."""
    return {
        "type": "progress_update",
        "task_id": state.task_id,
        "status": state.status.value,
        "stage": state.stage.value,
        "progress": state.overall_progress,
        "stage_progress": state.stage_progress,
        "current_region": state.current_region,
        "total_regions": state.regions,
        "message": state.message,
        "elapsed_time": state.elapsed_s,
        "estimated_remaining": state.remaining_s,
    }


def status_reply(state: TaskState) -> dict[str, Any]:
    """Answers `get_task_status`."""
    return {**snapshot(state), **_times(state), "error_message": state.error}


def progress_update(state: TaskState) -> dict[str, Any]:
    """Told of each thing that happens to a task that is subscribed to."""
    return {
        "type": "progress_update",
        "task_id": state.task_id,
        "session_id": None,
        "status": state.status.value,
        "stage": state.stage.value,
        "progress": state.overall_progress,
        "message": state.message,
        "timestamp": _timestamp(),
        "current_region": state.current_region,
        "total_regions": state.regions,
        "elapsed_time": state.elapsed_s,
        "estimated_remaining": state.remaining_s,
    }


def ended(state: TaskState) -> dict[str, Any]:
    """The last message of a task."""
    told = {"task_id": state.task_id, "session_id": None, "timestamp": _timestamp()}
    if state.status is TaskStatus.COMPLETED:
        result = {
            # Of this server's addresses, not a path on its disk.
            "processed_image_path": f"{RESULT_PATH}/{state.task_id}",
            "processing_time": state.elapsed_s,
            "regions_processed": state.regions,
        }
        return {"type": "task_completed", **told, "result": result}
    if state.status is TaskStatus.ERROR:
        return {"type": "task_failed", **told, "error_message": state.error}
    return {"type": "task_cancelled", **told}


def task_status(state: TaskState) -> dict[str, Any]:
    """The body of `GET /api/v1/task-status/{id}`."""
    return {
        "task_id": state.task_id,
        "status": state.status.value,
        "stage": state.stage.value,
        "overall_progress": state.overall_progress,
        "stage_progress": state.stage_progress,
        "current_region": state.current_region,
        "total_regions": state.regions,
        "message": state.message,
        "elapsed_time": state.elapsed_s,
        "estimated_remaining": state.remaining_s,
        **_times(state),
        "error_message": state.error,
    }


def _times(state: TaskState) -> dict[str, str | None]:
    return {
        "created_at": iso(state.created_at),
        "started_at": iso(state.started_at),
        "completed_at": iso(state.completed_at),
    }


def _timestamp() -> str:
    return now().isoformat()
