"""What to do next: the operations of one pass, from the desired stack and the assessment of what runs."""
