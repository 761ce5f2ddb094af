"""Checks that come with Wayline: word lists."""
