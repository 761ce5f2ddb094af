"""Channels over Meta's Graph API: WhatsApp, Messenger, Instagram."""
