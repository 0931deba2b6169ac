"""The door to the model: `model.py` asks, the other files know one thing each about how models answer and fail."""
