"""Channels that come with Wayline: e-mail, files, signed webhooks."""
