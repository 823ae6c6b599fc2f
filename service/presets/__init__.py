"""Presets: files of values, under one name, for what a request leaves out.

fooocus_file   what such a file says, in parameters of ours
book           the preset files there are: packaged, or in the server's folders
layer          lays a preset under a request, before it is read
"""
