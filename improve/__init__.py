"""The loop: what people think of the answers makes a better model. It composes all rooms, as homegrown.py does."""
