"""The Deep Factor Model (Nakagawa, Uchida, Aoshima 2018) as a monthly production system."""

__version__ = "0.1.0"
