"""What people decide by: one self-contained HTML page of a run, with Markdown and JUnit beside it."""
