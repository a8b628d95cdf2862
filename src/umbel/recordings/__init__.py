"""What is recorded of events: captures, what each viewer keeps of them, and how they are played."""
