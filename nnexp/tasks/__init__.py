"""What a run does, behind one small interface."""
