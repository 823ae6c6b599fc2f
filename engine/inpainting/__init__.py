"""Ways to fill a hole in a picture, one file each; which there are is in `registry`."""
