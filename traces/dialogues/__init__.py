"""Dialogues for fine-tuning, in the form of the paper's Code-Feedback (section 3)."""
