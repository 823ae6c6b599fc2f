"""The wire formats of other services, translated into our own jobs."""
