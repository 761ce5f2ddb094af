"""What is in force and who may change it: bundles, the kill switch, keys."""
