"""Douyin private messages: answers in a conversation, and one call a day to those who allowed it."""
