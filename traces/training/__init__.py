"""Fine-tuning on dialogues, in the paper's two stages (section 4). TRL does the work."""
