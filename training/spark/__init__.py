"""`spark`, the embedded text-to-image model: from icons in a package registry to a diffusers folder.

The stages, each resumable on its own and each a command of `python -m training.spark`:

    fetch    icons.py      the pinned icon package, checked by its SHA-256
    render   sprites.py    every noun in every colour, as small RGBA pictures
    vae      vae.py        the autoencoder, then whitened latents of a fixed set of scenes (latents.py)
    unet     unet.py       text encoder and UNet together, v-prediction
    decoder  decoder.py    a sharper decoder for the same latents; any time after the latents
    preview_decoder        preview_decoder.py: a tiny decoder for previews, written into the diffusers folder
    export   export.py     a standard diffusers folder in fp16
    single_file            single_file.py: the same weights as one file, in the layout checkpoints are passed around in
    proof    proof.py      fixed prompts, judged by a classifier that has seen only real icons (judge.py)
"""
