"""Carries intents through the gate and hands them to channels."""
