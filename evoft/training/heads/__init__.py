"""Linear heads behind frozen layers: many of them train together, each as it would alone."""
