"""Patterns over one contact's events: what they are, what is kept of the past, and when one is complete."""
