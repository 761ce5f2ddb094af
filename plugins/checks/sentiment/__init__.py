"""How kindly a text reads: a small model for each language, learned from reviews by customers."""

from plugins.checks.sentiment.model import LANGUAGES, Model, is_read, model_of

__all__ = ["LANGUAGES", "Model", "is_read", "model_of"]
