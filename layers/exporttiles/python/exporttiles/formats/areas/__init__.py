"""Areas of interest as people have them."""
