"""Who gets which arm of an experiment, and who is held out: pure, the same for whoever asks."""
