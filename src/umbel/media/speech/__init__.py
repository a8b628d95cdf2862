"""Speech to text: the port of a recogniser, its drivers, and cues on the calendar's clock."""
