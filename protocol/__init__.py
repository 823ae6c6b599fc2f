"""What goes over the wire: requests, jobs, events, errors, codecs and frames.

Imports nothing else of ours, does no I/O and knows no web framework: a client may depend on it as it stands.
"""
