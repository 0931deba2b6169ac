"""Speaks the summary of a document: an MP3, and a timeline that says which second belongs to which sentence."""
