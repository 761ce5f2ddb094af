"""Robots of group chats: DingTalk, Feishu, WeCom; each signs in a way of its own."""
