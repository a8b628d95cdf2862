"""The planner steers live delivery: its plans, translated into guidance for the policies."""
