"""How texts are read before words are looked for: forms of a text, each with the way back to the original."""

from plugins.checks.text.form import Form
from plugins.checks.text.joining import joined, without_ornaments
from plugins.checks.text.pinyin import Sounding, sounding, sounds_of
from plugins.checks.text.plain import plain

__all__ = ["Form", "Sounding", "joined", "plain", "sounding", "sounds_of", "without_ornaments"]
