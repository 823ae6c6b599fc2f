"""Everything that touches a socket, a row or a file: app, bus, store, transports, auth.

Importing it loads no model library: the engine is imported in the executor thread, after the server answers.
"""
