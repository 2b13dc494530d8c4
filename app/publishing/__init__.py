"""What each channel should show, written so that no sale is overwritten, and why."""
