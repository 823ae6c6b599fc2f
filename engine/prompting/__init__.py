"""From what a client wrote to the texts a model reads: lines, wildcards, arrays, styles. Imports no torch.

styles       the styles there are: packaged, or in the user's files
wildcards    files of lines, one of which stands for `__name__`
arrays       `[[a, b]]`: another item for each image
lines        a prompt as lines, and what joins texts
expansion    words of quality that are put behind a prompt
expand       all of it, for one image of a job
"""
