"""Models that no package carries, for tasks that have others as well: what they are called, and where their files lie.

`published` and `files` import no torch; the networks do.
"""
