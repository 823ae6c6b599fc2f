"""The text-removal service that is built on IOPaint: regions in, a picture out, and tasks with progress on sockets."""
