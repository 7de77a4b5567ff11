"""What a step will take on more ranks than there are yet: models of computing and communicating, pure arithmetic."""
