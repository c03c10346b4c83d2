"""Features: what frozen layers make of images, computed once a run and shared by its workers."""
