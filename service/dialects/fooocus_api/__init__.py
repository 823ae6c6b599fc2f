"""Fooocus-API: forms and JSON in, pictures by URL out; blocking, or as jobs that are asked for."""
