"""The controllers: they connect the review, its jobs and its layers; no controls of their own."""
