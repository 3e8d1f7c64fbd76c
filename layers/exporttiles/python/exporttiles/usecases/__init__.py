"""What the product does, one verb a module; ports in, values out."""
