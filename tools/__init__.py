"""What reaches the world, behind small protocols: models, sandbox, grading."""
