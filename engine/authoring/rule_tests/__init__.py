"""Tests beside the rulesets, read and checked; what there is in a journey for them to reach."""
