"""What control pictures are made of others by: edges, shades that keep contrasts, depth, poses."""
