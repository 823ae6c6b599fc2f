"""Keeps what diffusers and transformers say of themselves out of the log: progress bars, advice, missing extras."""

import os
from typing import Final

_SETTINGS: Final = {
    # Read once, when the libraries are imported. No model hub is ever asked, whatever a library would like.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}


def quieten() -> None:
    """Have the libraries report errors only, draw no bars and use no network.

    Call it before importing either; it is cheap to repeat. What matters to a user is said by our own errors.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import diffusers.utils.logging as diffusers_logging
    import transformers.utils.logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
