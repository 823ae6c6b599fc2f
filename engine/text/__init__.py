"""Finding writing in a picture, and the strokes it is made of."""
