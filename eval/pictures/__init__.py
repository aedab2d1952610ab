"""Drawn scenes with their captions, and the exact analysis of pictures that should show such scenes."""
