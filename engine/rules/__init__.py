"""Conditions over typed facts: what they mean, how they are decided, why they came out as they did."""
