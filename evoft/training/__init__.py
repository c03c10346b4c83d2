"""Training: images, backbones, freezing, augmentation, the loop, checkpoints and export.

The parent process of a run imports the parts that need no torch: ``data``, ``facts``,
``default_space`` and ``fine_tuner``.
"""
