"""Super-resolution networks, the file format their weights come in, and the tiling that feeds them.

`tiling` imports no torch; the others do.
"""
