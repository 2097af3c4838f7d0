"""Deliveries that arrive by themselves: a folder or a bucket is watched, and what is complete is handed to the farm."""
