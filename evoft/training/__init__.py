"""Training: images, backbones, freezing, augmentation, the loop, checkpoints and export.

What lies before all that trains is cut off in ``prefix``; what it makes of images is kept in
``features``; many linear heads train on that at once in ``heads``.

The parent process of a run imports the parts that need no torch: ``data``, ``facts``,
``default_space`` and ``fine_tuner``.
"""
