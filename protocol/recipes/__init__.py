"""What a picture was made with, as files of several programs say it: read and written. No I/O.

Recipe      what is said, in our words
a1111       the text of the Stable Diffusion web interfaces, with what Fooocus adds to it
fooocus     the JSON document of Fooocus
"""
