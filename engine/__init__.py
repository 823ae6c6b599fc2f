"""Everything that touches a tensor: the executor, the tasks, the models.

Knows no HTTP, no job table and no foreign dialect: it is given a `Run`, and emits events. The service sees
`engine.interface` alone.
"""
