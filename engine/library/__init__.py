"""Which model files lie where: found in place, told apart by what is in them, never loaded. Imports no torch.

Library.refresh()
  layouts    which folders of a root hold which kind of model (our own, ComfyUI's, A1111's, Fooocus', ...)
  walk       the files and diffusers folders in those folders
  headers    names and shapes of the tensors in a safetensors file, without reading one
  pickles    the same of a PyTorch file, without running it
  sniff      kind and family from names and shapes; `families` knows the shapes
  folders    kind and family of a diffusers folder, from its configurations
  tiny_vaes  which decoder for previews goes with which family
  names      one name per model; which model a client's name means
"""
