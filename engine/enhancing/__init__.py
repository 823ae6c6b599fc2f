"""What is done to a picture once it is there: reworked as a whole, and repainted where things are found in it."""
