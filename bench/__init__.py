"""What Safelight costs, measured against bare references that run beside it. `python -m bench --help`.

Every figure is a ratio: ours and the reference are measured in turn (A B A B ...) within one run, on one machine,
and medians are compared. Absolute numbers are shown only to make sense of a ratio.
"""
