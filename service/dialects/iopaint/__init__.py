"""The REST interface of IOPaint 1.6.0, served by our own tasks. `docs/dialects/iopaint.md` says what differs."""
