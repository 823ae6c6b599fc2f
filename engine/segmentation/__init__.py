"""Segment Anything and its kin: an image encoder run once per picture, and a small decoder run once per click.

Parameter names are those of the published files. All modules but `embeddings` import torch.
"""
