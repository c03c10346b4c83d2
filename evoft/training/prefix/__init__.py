"""The frozen prefix: what lies before all that trains, cut off by the graph of a model."""
