"""What happens in a viewer and outlives the dock."""
