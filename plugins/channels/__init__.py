"""Channels that come with Wayline: e-mail, files, signed webhooks, and those of platforms."""
